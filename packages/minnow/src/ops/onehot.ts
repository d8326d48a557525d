// OneHot: a new axis that is `on` at the index and `off` elsewhere.
import { count } from "../graph/dim.js";
import * as e from "../compiler/expr.js";
import { at, fixed, scalarOf } from "../compiler/nest.js";
import {
  axisOf,
  bool,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
} from "./op.js";
import {
  boolAttr,
  everyAxis,
  flat,
  indices,
  intAttr,
  listOf,
  numbersOf,
  outShape,
  refInput,
  refShape,
  result,
  shapeOf,
  tableLength,
  unknownDim,
} from "./move.js";

function infer(c: InferContext): Inferred[] {
  const { shape } = need(c, 0);
  const axis = axisOf(c, int(c.attrs, "axis"), shape.length + 1);
  const depth = listOf(c, 1)?.[0] ?? unknownDim(c, "depth");
  return [result(c, need(c, 2).dtype, [...shape.slice(0, axis), depth, ...shape.slice(axis)])];
}

function lower(c: LowerContext): void {
  const out = outShape(c);
  if (count(out) === 0) return;
  const axis = axisOf(c, int(c.attrs, "axis"), out.length);
  const depth = tableLength(c, numbersOf(c, 1, "depth")[0] as number);
  const places = c.table(
    Int32Array.from({ length: depth }, (_, i) => i),
    [depth],
  );
  const t = scalarOf(c.inputs[0]?.dtype ?? "int32");
  const index = e.cast(e.input(0, t), t === "i64" ? "i64" : "i32");
  const place = e.cast(e.input(1, "i32"), index.t);
  const wrapped = bool(c.attrs, "wrap") ? e.select(e.lt(index, 0), e.add(index, depth), index) : index;
  const type = scalarOf(c.inputs[2]?.dtype ?? "float32");
  c.nest({
    loops: out,
    reduce: [],
    operands: [
      { value: c.input(0), index: shapeOf(c, 0).map((_, i) => at(i < axis ? i : i + 1)) },
      { value: places, index: [at(axis)] },
      { value: c.input(2), index: shapeOf(c, 2).map(() => fixed(0)) },
      { value: c.input(3), index: shapeOf(c, 3).map(() => fixed(0)) },
    ],
    result: e.select(e.eq(wrapped, place), e.input(2, type), e.input(3, type)),
    out: { value: c.output(0), index: everyAxis(out.length) },
  });
}

export const ops: OpDef[] = [
  {
    name: "OneHot",
    inputs: ["indices", "depth", "on", "off"],
    // wrap: a negative index counts from the end (ONNX); TFLite has no such thing and gives all off.
    attrs: { axis: intAttr(-1), wrap: boolAttr(true) },
    infer,
    lower,
  },
];

export const references: Record<string, Reference> = {
  OneHot: (c) => {
    const shape = refShape(c);
    const axis = axisOf({ op: c.op, name: "" }, int(c.attrs, "axis"), shape.length);
    const x = refInput(c, 0);
    const depth = shape[axis] as number;
    const [on, off] = [refInput(c, 2).data[0] as number, refInput(c, 3).data[0] as number];
    const out: number[] = [];
    for (const o of indices(shape)) {
      const v = Math.trunc(
        x.data[
          flat(
            o.filter((_, i) => i !== axis),
            x.shape,
          )
        ] as number,
      );
      const index = v < 0 && bool(c.attrs, "wrap") ? v + depth : v;
      out.push(index === o[axis] ? on : off);
    }
    return [out];
  },
};
