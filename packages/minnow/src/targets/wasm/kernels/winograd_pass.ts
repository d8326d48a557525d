// The two loops of a Winograd transform. Both run over channels, 4 or 8 at a time, and read through a table of
// pointers, one a point of the transform, so that rows and columns, stages, planes and the image are one code:
//   pass    n pointers → rows at a fixed distance; the input transform, and the columns of the output's
//   finish  n pointers → m output pixels with the epilogue, straight to the output's view
// A pointer of the input that lies outside the image points at zeros: no code for edges.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";
import type { Epilogue } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import { type Linear, LinearCode } from "./winograd_linear.js";

export interface PassSpec {
  /** Names the matrix. */
  readonly key: string;
  readonly linear: Linear;
  readonly inputs: number;
  /** Vectors of 4 channels that one iteration takes: 2 where V8 joins them. */
  readonly lanes: number;
  readonly fma: boolean;
  /** Bytes from the start of the table of constants. */
  readonly constantsAt: number;
}

const i32s = (n: number): "i32"[] => Array<"i32">(n).fill("i32");

function loadAll(f: FunctionBuilder, pointers: readonly Local[], xs: readonly (readonly Local[])[]): void {
  pointers.forEach((p, i) =>
    xs[i]?.forEach((x, v) =>
      f
        .get(p)
        .vload(16 * v)
        .set(x),
    ),
  );
}

function pointersFrom(f: FunctionBuilder, table: Local, n: number): Local[] {
  const pointers = f.someLocals(n, "i32");
  pointers.forEach((p, i) =>
    f
      .get(table)
      .load(4 * i)
      .set(p),
  );
  return pointers;
}

/**
 * (constants, table, to, distance of results, step of pointers, step of `to`, times ≥ 1, iterations ≥ 1):
 * `times` times: one vector product a channel; then pointers and `to` move by their steps.
 */
export function pass(m: ModuleBuilder, s: PassSpec): number {
  return m.once(`winograd_pass_${s.key}_${s.lanes}_${s.fma}_${s.constantsAt}`, () =>
    m.func(i32s(8), [], (f) => {
      const [constants, table, to, distance, fromStep, toStep, times, iterations] = [0, 1, 2, 3, 4, 5, 6, 7];
      const code = new LinearCode(f, s.linear, s.lanes, s.fma, constants, s.constantsAt);
      const pointers = pointersFrom(f, table, s.inputs);
      const xs = pointers.map(() => f.someLocals(s.lanes, "v128"));
      const i = f.local();
      const d = f.local();
      // What is left of a step after the channels.
      for (const step of [fromStep, toStep])
        f.get(step)
          .get(iterations)
          .i32(16 * s.lanes)
          .op("i32.mul", "i32.sub")
          .set(step);
      f.repeat(times, () => {
        f.get(iterations).set(i);
        f.repeat(i, () => {
          loadAll(f, pointers, xs);
          f.get(to).set(d);
          code.emit(xs, (_, push) => {
            for (let v = s.lanes - 1; v >= 0; v--) {
              f.get(d);
              push(v);
              f.vstore(16 * v);
            }
            f.incBy(d, distance);
          });
          f.inc(to, 16 * s.lanes);
          for (const p of pointers) f.inc(p, 16 * s.lanes);
        });
        f.incBy(to, toStep);
        for (const p of pointers) f.incBy(p, fromStep);
      });
    }),
  );
}

export interface FinishSpec extends PassSpec {
  readonly outputs: number;
  readonly epilogue: Epilogue;
  /** Channels that the last iteration of the last slice holds, 0 = all. */
  readonly tail: number;
}

/**
 * (args, table, step of pointers, rows ≥ 1, columns ≥ 1, first pixel, pixels between rows, between columns,
 * first channel, whole iterations, 1: the tail follows)
 */
export function finish(m: ModuleBuilder, s: FinishSpec, layout: Layout<string>): number {
  return m.once(
    `winograd_finish_${s.key}_${s.outputs}_${s.lanes}_${s.fma}_${s.constantsAt}_${s.tail}_${s.epilogue.key}@${layout.names.join()}`,
    () => m.func(i32s(11), [], (f) => new Finish(f, s, layout).emit()),
  );
}

const [argsParam, tableParam, stepParam, rowsParam, columnsParam, pixelParam] = [0, 1, 2, 3, 4, 5];
const [rowPixels, columnPixels, channelParam, wholeParam, tailParam] = [6, 7, 8, 9, 10];

class Finish {
  readonly #linear: LinearCode;
  readonly #code: EpilogueCode;
  readonly #pointers: Local[];
  readonly #xs: Local[][];
  readonly #acc: Local[];
  /** Pixel and address of the output at hand; from one column to the next. */
  readonly #pixel: Local;
  readonly #at: Local;
  readonly #first: Local;
  readonly #pitch: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly s: FinishSpec,
    private readonly layout: Layout<string>,
  ) {
    const constants = layout.local(f, argsParam, "constants");
    this.#linear = new LinearCode(f, s.linear, s.lanes, s.fma, constants, s.constantsAt);
    this.#pointers = pointersFrom(f, tableParam, s.inputs);
    this.#xs = this.#pointers.map(() => f.someLocals(s.lanes, "v128"));
    this.#acc = f.someLocals(s.lanes, "v128");
    this.#pixel = f.local();
    this.#at = f.local();
    this.#first = f.local();
    this.#pitch = f.local();
    const arg = (name: string): FunctionBuilder => layout.push(f, argsParam, name);
    this.#code = new EpilogueCode(f, s.epilogue, arg, s, s.lanes, channelParam, channelParam);
  }

  emit(): void {
    const { f, s, layout } = this;
    const n = f.local();
    const bytes = 16 * s.lanes;
    layout.push(f, argsParam, "outPitch").get(columnPixels).op("i32.mul").set(this.#pitch);
    f.get(stepParam).get(wholeParam).i32(bytes).op("i32.mul", "i32.sub").set(stepParam);
    f.repeat(rowsParam, () => {
      this.#code.rewind(channelParam);
      layout.push(f, argsParam, "out").get(channelParam).i32(s.epilogue.outBytes).op("i32.mul", "i32.add");
      f.get(pixelParam);
      layout.push(f, argsParam, "outPitch").op("i32.mul", "i32.add").set(this.#first);
      f.get(wholeParam).if();
      f.get(wholeParam).set(n);
      f.repeat(n, () => {
        this.#iteration(4 * s.lanes);
        this.#code.advance(4 * s.lanes);
        f.inc(this.#first, 4 * s.lanes * s.epilogue.outBytes);
        for (const p of this.#pointers) f.inc(p, bytes);
      });
      f.end();
      if (s.tail) {
        f.get(tailParam).if();
        this.#iteration(s.tail);
        f.end();
      }
      for (const p of this.#pointers) f.incBy(p, stepParam);
      f.incBy(pixelParam, rowPixels);
    });
  }

  #iteration(channels: number): void {
    const { f } = this;
    loadAll(f, this.#pointers, this.#xs);
    this.#code.load();
    const byPixel = this.s.epilogue.operands.some((o) => o.role === "full" || o.role === "pixel");
    if (byPixel) f.get(pixelParam).set(this.#pixel);
    f.get(this.#first).set(this.#at);
    this.#linear.emit(this.#xs, (column, push) => {
      // Tiles at the right and lower edge have fewer outputs.
      if (column > 0) f.get(columnsParam).i32(column).op("i32.gt_s").if();
      this.#code.init([this.#acc]);
      this.#acc.forEach((a, v) => {
        push(v);
        if (this.s.epilogue.init !== undefined) f.get(a).op("f32x4.add");
        f.set(a);
      });
      this.#code.finish(this.#acc, () => void f.get(this.#pixel));
      this.#code.storeAt(this.#acc, channels, this.#at, 0);
      f.incBy(this.#at, this.#pitch);
      if (byPixel) f.incBy(this.#pixel, columnPixels);
      if (column > 0) f.end();
    });
  }
}
