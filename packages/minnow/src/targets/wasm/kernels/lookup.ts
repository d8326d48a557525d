// Bytes by a table of 256 (compiler/lookup.ts): one load of x, one of its answer, one store.
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { PlannedKernel, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { joined, walkOf } from "./operands.js";

export const lookup: TunedKernel = { kernels: ["lookup"], plan };

const layout = new Layout(["x", "out", "table", "columns", "xPitch", "outPitch"]);

/** Rows of bytes side by side; all is one row where nothing lies between them. */
function plan(step: Step): PlannedKernel | null {
  const { nest } = step;
  const [x, out] = nest ? [walkOf(step, nest, 1), walkOf(step, nest, "out")] : [];
  if (!nest || !x || !out || x.bytes !== 1 || out.bytes !== 1) return null;
  const { loops } = nest;
  const last = loops.length - 1;
  const whole = [x, out].every((w) => joined(w.strides, loops, 0, loops.length) === 1);
  const pitches = [x, out].map((w) => joined(w.strides, loops, 0, last));
  const dense = [x, out].every((w) => w.strides[last] === 1 || loops[last] === 1);
  const [xPitch, outPitch] = whole ? [1, 1] : pitches;
  if (!whole && (!dense || xPitch == null || outPitch == null)) return null;
  const columns = whole ? 1 : (loops[last] as number);
  const extent = loops.reduce((a, b) => a * b, 1) / columns;
  return {
    key: `lookup_${whole ? "whole" : "rows"}`,
    label: "lookup",
    emit: (m) => emit(m, whole),
    extent,
    grain: Math.max(1, Math.ceil(16384 / columns)),
    unit: 1,
    args: layout.words({
      x: { kind: "view", value: x.value, element: x.offset },
      out: { kind: "view", value: out.value, element: out.offset },
      table: { kind: "view", value: nest.operands[0]?.value as number },
      columns,
      xPitch: xPitch as number,
      outPitch: outPitch as number,
    }),
    packed: [],
    scratchBytes: 0,
  };
}

function emit(m: ModuleBuilder, whole: boolean): number {
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const [x, out, rows] = f.someLocals(3, "i32");
    const table = layout.local(f, args, "table");
    for (const [at, name, pitch] of [
      [x, "x", "xPitch"],
      [out, "out", "outPitch"],
    ] as const) {
      layout.push(f, args, name).get(begin);
      layout.push(f, args, pitch).op("i32.mul", "i32.add").set(at);
    }
    f.get(end).get(begin).op("i32.sub").tee(rows).if();
    if (whole) row(f, table, x, out, rows);
    else {
      const columns = layout.local(f, args, "columns");
      const [from, to] = f.someLocals(2, "i32");
      f.repeat(rows, () => {
        f.get(x).set(from).get(out).set(to);
        row(f, table, from, to, columns);
        layout.push(f, args, "xPitch").get(x).op("i32.add").set(x);
        layout.push(f, args, "outPitch").get(out).op("i32.add").set(out);
      });
    }
    f.end();
  });
}

/** `n` bytes from `x` on; moves both addresses. */
function row(f: FunctionBuilder, table: Local, x: Local, out: Local, n: Local): void {
  const left = f.local();
  const some = (count: number): void => {
    for (let i = 0; i < count; i++)
      f.get(out)
        .get(x)
        .mem("i32.load8_u", i)
        .get(table)
        .op("i32.add")
        .mem("i32.load8_u")
        .mem("i32.store8", i);
    f.inc(x, count).inc(out, count);
  };
  f.get(n).i32(3).op("i32.shr_u").tee(left).if();
  f.repeat(left, () => some(8)).end();
  f.get(n).i32(7).op("i32.and").tee(left).if();
  f.repeat(left, () => some(1)).end();
  f.free("i32", left);
}
