// The tile of depth-wise kernels: rows × columns of outputs for all channels, so that inputs and weights
// are loaded once for all of them. Pixel pitches are arguments, addresses walk along x by adding them: as
// fast as immediates (the adders are idle), and layers share code whatever their channels. A tile at the
// left or right border is code of its own that knows which columns of its window lie inside the image.
// Where sizes change from run to run the tile asks instead, one select a row and column (8 % slower).
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Layout } from "./arguments.js";
import type { Epilogue } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import type { Tap, TapMath, TapTile } from "./depthwise_taps.js";

/** What the code of a kernel depends on; sizes of one tile are in `TileSize`. */
export interface DepthSpec {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padLeft: number;
  /** There are whole blocks of channels, and so many channels behind the last one. */
  readonly whole: boolean;
  readonly rest: number;
  readonly math: TapMath;
  readonly epilogue: Epilogue;
  readonly fma: boolean;
}

export interface TileSize {
  /** Of outputs. */
  readonly rows: number;
  readonly columns: number;
  /** Columns of the window that are inside the image: lo…hi−1. */
  readonly lo: number;
  readonly hi: number;
  /** So many columns at either end are asked for: they may be outside all the same. */
  readonly ask?: readonly [number, number];
}

/** Distinct input rows under so many rows of outputs; more than one only where dilation is 1. */
export const inputRows = (s: Pick<DepthSpec, "kernel" | "stride">, rows: number): number =>
  (rows - 1) * s.stride[0] + s.kernel[0];

/** Columns under a tile. */
export const spanOf = (s: Pick<DepthSpec, "kernel" | "stride" | "dilation">, columns: number): number =>
  (columns - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1] + 1;

const [args, pixel, tiles, column, firstRow] = [0, 1, 2, 3, 4];

/** (args, first output pixel, tiles ≥ 1, input column at `lo`, addresses of the input rows). */
export class DepthTile {
  readonly #acc: Local[][][];
  readonly #rows: Local[];
  private readonly pitch: Local;
  /** In locals: V8 11 would finish one output after the other if loads stood between the stores. */
  private readonly outPitch: Local;
  private readonly outRow: Local;
  /** Of columns that are asked for: is it inside? */
  readonly #inside = new Map<number, Local>();

  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly s: DepthSpec,
    private readonly size: TileSize,
  ) {
    this.#rows = f.someLocals(inputRows(s, size.rows), "i32");
    this.#acc = Array.from({ length: size.rows }, () =>
      Array.from({ length: size.columns }, () => f.someLocals(s.math.vectors, "v128")),
    );
    this.pitch = layout.local(f, args, "xPitch");
    this.outPitch = layout.local(f, args, "outPitch");
    this.outRow = layout.local(f, args, "outRow");
    const [before, behind] = size.ask ?? [0, 0];
    for (let i = size.lo; i < size.hi; i++)
      if (i < before || i >= size.hi - behind) this.#inside.set(i, f.local());
  }

  emit(): void {
    const { f, layout, s, size } = this;
    const { math } = s;
    const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
    const [zero, at, w, out] = [f.local(), f.local(), f.local(), f.local()];
    arg("out").get(pixel).get(this.outPitch).op("i32.mul", "i32.add").set(at);
    const code = new EpilogueCode(f, s.epilogue, arg, s, math.vectors, zero, zero);
    const taps = math.begin(f, () => void arg("zeroPoint"));
    const block = (channels: number): void => {
      const vectors = Math.ceil(channels / math.lanes);
      const acc = this.#acc.map((row) => row.map((a) => a.slice(0, vectors)));
      if (math.start) for (const a of acc.flat(2)) math.start(f).set(a);
      else code.init(acc.flat(), math.more && ((a) => math.more?.(f, a, w)));
      taps({ ...this.#tapTile(acc), w });
      if (math.lanes === 4) {
        code.load();
        this.#each(acc, (a, r, t) => code.finish(a, () => this.#pixel(r, t)));
      }
      this.#store(acc, out, (a, to) => {
        if (math.lanes === 4) code.storeAt(a, channels, to, 0);
        else storeBytes(f, a, channels, to);
      });
      code.advance(channels);
      f.inc(w, math.weightStep).inc(out, channels * s.epilogue.outBytes);
      this.#advance(math.inputStep);
    };
    f.repeat(tiles, () => {
      this.#begin();
      arg("weights").set(w).get(at).set(out);
      code.rewind(zero);
      if (s.whole) {
        const n = layout.local(f, args, "blocks");
        f.repeat(n, () => block(math.lanes * math.vectors));
      }
      if (s.rest) block(s.rest);
      f.get(this.outPitch).i32(size.columns).op("i32.mul").get(at).op("i32.add").set(at);
      f.inc(pixel, size.columns).inc(column, size.columns * s.stride[1]);
    });
  }

  /** The rows at the tile's first column, and which columns are inside. */
  #begin(): void {
    const { f } = this;
    const offset = f.local();
    f.get(column).get(this.pitch).op("i32.mul").set(offset);
    this.#rows.forEach((p, y) => {
      f.get(firstRow + y)
        .get(offset)
        .op("i32.add")
        .set(p);
    });
    for (const [i, inside] of this.#inside) {
      f.get(column).i32(i).op("i32.add");
      this.layout.push(f, args, "w").op("i32.lt_u").set(inside);
    }
    f.free("i32", offset);
  }

  /** How taps find their inputs. */
  #tapTile(acc: Local[][][]): Omit<TapTile, "w"> {
    const { f, s, size } = this;
    const [stride, dilation] = [s.stride[1], s.dilation[1]];
    const walk: TapTile["walk"] = (rows, [first, end], visit, outside = false) => {
      const from = f.someLocals(rows.length, "i32");
      let at = -1;
      const [lo, hi] = outside ? [0, spanOf(s, size.columns)] : [size.lo, size.hi];
      for (let i = lo; i < hi; i++) {
        const users: Tap[] = [];
        for (let t = 0; t < size.columns; t++) {
          const tap = (i - t * stride) / dilation;
          if (Number.isInteger(tap) && tap >= first && tap < end) users.push({ column: t, tap });
        }
        if (users.length === 0) continue;
        if (i < size.lo || i >= size.hi) {
          visit(users, []);
          continue;
        }
        from.forEach((q, y) => {
          if (at < 0) f.get(this.#rows[rows[y] as number] as Local).set(q);
          const steps = i - Math.max(at, size.lo);
          if (steps === 1) f.incBy(q, this.pitch);
          else if (steps) f.get(this.pitch).i32(steps).op("i32.mul").get(q).op("i32.add").set(q);
        });
        at = i;
        visit(users, this.#inside.has(i) ? this.#asked(from, i) : from);
      }
      f.free("i32", ...from);
    };
    return {
      acc,
      stride: s.stride[0],
      kernel: s.kernel,
      walk,
      advance: (bytes) => this.#advance(bytes),
    };
  }

  #advance(bytes: number): void {
    for (const p of this.#rows) this.f.inc(p, bytes);
  }

  /** The addresses of a column, or where what is outside reads. */
  #asked(from: readonly Local[], i: number): Local[] {
    const { f, layout } = this;
    const at = f.someLocals(from.length, "i32");
    at.forEach((a, y) => {
      f.get(from[y] as Local);
      layout
        .push(f, args, "outside")
        .get(this.#inside.get(i) as Local)
        .op("select")
        .set(a);
    });
    f.free("i32", ...at);
    return at;
  }

  #each(acc: Local[][][], visit: (a: Local[], row: number, column: number) => void): void {
    acc.forEach((row, r) => row.forEach((a, t) => visit(a, r, t)));
  }

  #pixel(row: number, column: number): void {
    const { f, layout } = this;
    f.get(pixel).i32(column).op("i32.add");
    if (row) layout.push(f, args, "ow").i32(row).op("i32.mul", "i32.add");
  }

  #store(acc: Local[][][], out: Local, put: (a: Local[], to: Local) => void): void {
    const { f, size } = this;
    const to = f.local();
    this.#each(acc, (a, r, t) => {
      if (t === 0) {
        f.get(out);
        if (r) f.get(this.outRow).i32(r).op("i32.mul", "i32.add");
        f.set(to);
      }
      put(a, to);
      if (t < size.columns - 1) f.incBy(to, this.outPitch);
    });
    f.free("i32", to);
  }
}

/** Vectors of 16 bytes; the last may hold fewer. */
function storeBytes(f: FunctionBuilder, acc: readonly Local[], channels: number, to: Local): void {
  acc.forEach((a, v) => {
    const left = channels - 16 * v;
    if (left >= 16)
      f.get(to)
        .get(a)
        .vstore(16 * v);
    else
      for (let lane = 0; lane < left; lane++)
        f.get(to)
          .get(a)
          .memLane("v128.store8_lane", lane, 16 * v + lane);
  });
}
