// ScatterND: a copy of x in which the slices that indices name are replaced by, or combined with, updates.
// Updates may name one place twice, so that their order counts: a kernel of its own (targets/host).
import { count, type Dim } from "../graph/dim.js";
import { ModelError } from "../error.js";
import {
  type InferContext,
  type Inferred,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
  str,
} from "./op.js";
import { outShape, refInput, refMoved, refShape, result } from "./move.js";

const reductions = ["none", "add", "mul", "min", "max"];

function infer(c: InferContext): Inferred[] {
  const [x, ind, updates] = [need(c, 0), need(c, 1), need(c, 2)];
  if (!reductions.includes(str(c.attrs, "reduction")))
    reject(c, `reduction ${str(c.attrs, "reduction")}`, "unsupported");
  if (ind.dtype !== "int32" && ind.dtype !== "int64") reject(c, `indices are ${ind.dtype}`, "unsupported");
  if (updates.dtype !== x.dtype) reject(c, `x is ${x.dtype}, updates are ${updates.dtype}`);
  const depth = ind.shape[ind.shape.length - 1];
  if (typeof depth !== "number") return reject(c, "the last axis of indices must be known", "unsupported");
  if (depth > x.shape.length) reject(c, `${depth} indices for rank ${x.shape.length}`);
  const wanted: Dim[] = [...ind.shape.slice(0, -1), ...x.shape.slice(depth)];
  const fits =
    wanted.length === updates.shape.length &&
    wanted.every(
      (d, i) => typeof d !== "number" || typeof updates.shape[i] !== "number" || d === updates.shape[i],
    );
  if (!fits) reject(c, `updates are [${updates.shape.join(", ")}], not [${wanted.join(", ")}]`);
  return [result(c, x.dtype, x.shape)];
}

function lower(c: LowerContext): void {
  if (count(outShape(c)) === 0) return;
  const params = { reduction: str(c.attrs, "reduction") };
  c.opaque("scatter_nd", params, [c.input(0), c.input(1), c.input(2)], [c.output(0)]);
}

export const ops: OpDef[] = [
  {
    name: "ScatterND",
    inputs: ["x", "indices", "updates"],
    attrs: { reduction: { type: "string", default: "none" } },
    infer,
    lower,
  },
];

const combine: Record<string, (a: number, b: number) => number> = {
  none: (_, b) => b,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
};

export const references: Record<string, Reference> = {
  ScatterND: (c) => {
    const [x, ind, updates] = [refInput(c, 0), refInput(c, 1), refInput(c, 2)];
    const out = Array.from(refMoved(x, c.outputs[0]));
    const shape = refShape(c);
    const depth = ind.shape[ind.shape.length - 1] as number;
    const slice = count(shape.slice(depth));
    const f = combine[str(c.attrs, "reduction")] as (a: number, b: number) => number;
    for (let row = 0; row < count(ind.shape.slice(0, -1)); row++) {
      let place = 0;
      for (let k = 0; k < depth; k++) {
        const [v, d] = [ind.data[row * depth + k] as number, shape[k] as number];
        if (v < -d || v >= d)
          throw new ModelError("index_out_of_range", `ScatterND: index ${v} in an axis of ${d}`, {
            op: "ScatterND",
          });
        place = place * d + (v < 0 ? v + d : v);
      }
      for (let i = 0; i < slice; i++)
        out[place * slice + i] = f(out[place * slice + i] as number, updates.data[row * slice + i] as number);
    }
    return [out];
  },
};
