// One tile of a Winograd convolution: where its inputs lie in the image, and where its outputs go.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Tile } from "../engine.js";
import type { Layout } from "./arguments.js";
import type { Epilogue } from "./epilogue.js";
import type { Depth } from "./gemm.js";
import type { Streams } from "./gemm_ahead.js";
import { type Form, stageChannels } from "./winograd_cost.js";
import type { Linear } from "./winograd_linear.js";
import { finish, pass } from "./winograd_pass.js";

export const stageRow = 4 * stageChannels;
/** In the scratch: the product's words, the pointers of the tile at hand, the stage's columns. */
export const [atPointers, atColumns, atFree] = [64, 128, 192] as const;

/** What the code depends on. */
export interface Code {
  readonly layout: Layout<string>;
  readonly form: Form;
  readonly bt: Linear;
  readonly at: Linear;
  readonly tile: Tile;
  readonly lanes: number;
  readonly fma: boolean;
  readonly channels: number;
  readonly depth: Depth;
  readonly ahead: Streams | undefined;
  readonly epilogue: Epilogue;
}

type Push = () => unknown;

/** into = the smaller (or larger) of two signed numbers; both are pushed twice. */
export function least(f: FunctionBuilder, into: Local, a: Push, b: Push, largest = false): void {
  for (const push of [a, b, a, b]) push();
  f.op(largest ? "i32.gt_s" : "i32.lt_s", "select").set(into);
}

/** Image, first output row and first output column of a tile, from its number. */
class Place {
  readonly image: Local;
  readonly y: Local;
  readonly x: Local;

  constructor(f: FunctionBuilder, arg: (name: string) => FunctionBuilder, tile: Local, form: Form) {
    const { m } = form.toom;
    this.image = f.local();
    this.y = f.local();
    this.x = f.local();
    f.get(tile);
    arg("tilesX")
      .op("i32.rem_u")
      .i32(form.alongX ? m : 1)
      .op("i32.mul")
      .set(this.x);
    f.get(tile);
    arg("tilesX").op("i32.div_u").tee(this.image);
    arg("tilesY")
      .op("i32.rem_u")
      .i32(form.alongY ? m : 1)
      .op("i32.mul")
      .set(this.y);
    f.get(this.image);
    arg("tilesY").op("i32.div_u").set(this.image);
  }
}

/** (args, tile, where its rows of V begin): the tile's inputs, transformed. */
export function inputTile(m: ModuleBuilder, c: Code): number {
  const { layout, form, bt, lanes, fma } = c;
  const { n } = form.toom;
  const transform = pass(m, { key: `b${n}`, linear: bt, inputs: n, lanes, fma, constantsAt: 0 });
  return m.once(`winograd_input_${form.name}_${lanes}_${fma}@${layout.names.join()}`, () =>
    m.func(["i32", "i32", "i32"], [], (f) => new InputTile(f, c, transform).emit()),
  );
}

class InputTile {
  readonly #place: Place;
  readonly #scratch: Local;
  readonly #base: Local;
  /** Columns lo…hi−1 of the tile lie inside the image. */
  readonly #lo: Local;
  readonly #hi: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly c: Code,
    private readonly transform: number,
  ) {
    this.#scratch = c.layout.local(f, 0, "scratch");
    this.#place = new Place(f, (name) => this.#arg(name), 1, c.form);
    this.#base = f.local();
    this.#lo = f.local();
    this.#hi = f.local();
  }

  #arg(name: string): FunctionBuilder {
    return this.c.layout.push(this.f, 0, name);
  }

  emit(): void {
    const { f, c } = this;
    const { y, x, image } = this.#place;
    const { n } = c.form.toom;
    f.get(y);
    this.#arg("padTop").op("i32.sub").set(y).get(x);
    this.#arg("padLeft").op("i32.sub").set(x);
    this.#arg("x").get(image);
    this.#arg("xImage").op("i32.mul", "i32.add").get(y);
    this.#arg("xRow").op("i32.mul", "i32.add").get(x);
    this.#arg("xPitch").op("i32.mul", "i32.add").set(this.#base);
    if (!c.form.twoD) {
      this.#line();
      return this.#channels((iterations) => {
        this.#pointers().get(2);
        this.#arg("planeV").i32(0).i32(0).i32(1).get(iterations).call(this.transform);
      });
    }
    const [lo, hi] = [this.#lo, this.#hi];
    least(
      f,
      lo,
      () => f.i32(0).get(x).op("i32.sub"),
      () => f.i32(0),
      true,
    );
    least(
      f,
      lo,
      () => f.get(lo),
      () => f.i32(n),
    );
    least(
      f,
      hi,
      () => this.#arg("w").get(x).op("i32.sub"),
      () => f.i32(n),
    );
    least(
      f,
      hi,
      () => f.get(hi),
      () => f.get(lo),
      true,
    );
    this.#rows();
    this.#outside(
      () => f.i32(0),
      () => f.get(lo),
    );
    this.#outside(
      () => f.get(hi),
      () => f.i32(n),
    );
    this.#channels((iterations) => {
      f.get(hi).get(lo).op("i32.ne").if();
      this.#pointers();
      this.#stage(() => f.get(lo)).i32(stageRow);
      this.#arg("xPitch")
        .i32(n * stageRow)
        .get(hi)
        .get(lo)
        .op("i32.sub")
        .get(iterations)
        .call(this.transform);
      f.end();
      this.#arg("constants").get(this.#scratch).i32(atColumns).op("i32.add").get(2);
      this.#arg("planeV").i32(stageRow);
      this.#arg("planeV").i32(n).op("i32.mul").i32(n).get(iterations).call(this.transform);
    });
  }

  /** The constants and the tile's pointers: what every call of the transform begins with. */
  #pointers(): FunctionBuilder {
    return this.#arg("constants").get(this.#scratch).i32(atPointers).op("i32.add");
  }

  /** Pushes the address of a column of the stage. */
  #stage(column: Push): FunctionBuilder {
    this.f.get(this.#scratch);
    this.#arg("atStage").op("i32.add");
    column();
    return this.f.i32(this.c.form.toom.n * stageRow).op("i32.mul", "i32.add");
  }

  /** Columns from…to−1 of the stage are zeros: a transform of zeros is zeros. */
  #outside(from: Push, to: Push): void {
    const { f, c } = this;
    to();
    from();
    f.op("i32.ne").if();
    this.#stage(from).i32(0);
    to();
    from();
    f.op("i32.sub")
      .i32(c.form.toom.n * stageRow)
      .op("i32.mul", "memory.fill")
      .code.byte(0);
    f.end();
  }

  /** Two dimensions: a pointer a row, at column lo. */
  #rows(): void {
    const { f, c } = this;
    const row = f.local();
    f.get(this.#base).get(this.#lo);
    this.#arg("xPitch").op("i32.mul", "i32.add").set(row);
    for (let i = 0; i < c.form.toom.n; i++) {
      f.get(this.#scratch).get(row);
      this.#arg("zero").get(this.#place.y).i32(i).op("i32.add");
      this.#arg("h")
        .op("i32.lt_u", "select")
        .store(atPointers + 4 * i)
        .get(row);
      this.#arg("xRow").op("i32.add").set(row);
    }
  }

  /** One dimension: a pointer a pixel. */
  #line(): void {
    const { f, c } = this;
    const { alongX } = c.form;
    const { x, y } = this.#place;
    const at = f.local();
    const inside = f.local();
    f.get(this.#base)
      .set(at)
      .get(alongX ? y : x);
    this.#arg(alongX ? "h" : "w")
      .op("i32.lt_u")
      .set(inside);
    for (let i = 0; i < c.form.toom.n; i++) {
      f.get(this.#scratch).get(at);
      this.#arg("zero")
        .get(alongX ? x : y)
        .i32(i)
        .op("i32.add");
      this.#arg(alongX ? "w" : "h")
        .op("i32.lt_u")
        .get(inside)
        .op("i32.and", "select")
        .store(atPointers + 4 * i);
      f.get(at);
      this.#arg(alongX ? "xPitch" : "xRow")
        .op("i32.add")
        .set(at);
    }
  }

  /** As many channels as the stage holds at a time; the pointers and the place in V move on. */
  #channels(step: (iterations: Local) => void): void {
    const { f, c } = this;
    const left = f.local();
    const now = f.local();
    this.#arg("iterations").set(left).loop();
    least(
      f,
      now,
      () => f.get(left),
      () => f.i32(stageChannels / (4 * c.lanes)),
    );
    step(now);
    f.get(left).get(now).op("i32.sub").tee(left).if();
    for (let i = 0; i < c.form.toom.n; i++)
      f.get(this.#scratch)
        .get(this.#scratch)
        .load(atPointers + 4 * i)
        .i32(stageRow)
        .op("i32.add")
        .store(atPointers + 4 * i);
    f.inc(2, stageRow).br(1).end().end();
  }
}

/** (args, tile, where its rows of M begin, first channel, channels): the tile's outputs. */
export function outputTile(m: ModuleBuilder, c: Code): number {
  const { layout, form, lanes, fma } = c;
  const { n, m: outputs } = form.toom;
  const constantsAt = 4 * c.bt.constants.length;
  const spec = { key: `a${outputs}:${n}`, linear: c.at, inputs: n, lanes, fma, constantsAt };
  const tail = c.channels % (4 * lanes);
  const columns = form.twoD ? pass(m, spec) : -1;
  const last = finish(m, { ...spec, outputs, epilogue: c.epilogue, tail }, layout);
  return m.func(["i32", "i32", "i32", "i32", "i32"], [], (f) => {
    const arg = (name: string): FunctionBuilder => layout.push(f, 0, name);
    const [tile, from, channel, channels] = [1, 2, 3, 4];
    const scratch = layout.local(f, 0, "scratch");
    const { image, y, x } = new Place(f, arg, tile, form);
    const plane = f.local();
    arg("rowM");
    arg("rowsM").op("i32.mul").set(plane);
    for (let i = 0; i < n; i++) {
      f.get(scratch)
        .get(from)
        .store(atPointers + 4 * i)
        .get(from)
        .get(plane);
      if (form.twoD) f.i32(n).op("i32.mul");
      f.op("i32.add").set(from);
    }
    const pointers = (at: number): FunctionBuilder => f.get(scratch).i32(at).op("i32.add");
    if (form.twoD) {
      arg("constants");
      pointers(atPointers).get(scratch);
      arg("atStage")
        .op("i32.add")
        .i32(stageRow)
        .get(plane)
        .i32(n * stageRow)
        .i32(n)
        .get(channels);
      f.ceilDiv(4 * lanes).call(columns);
    }
    f.get(0);
    pointers(form.twoD ? atColumns : atPointers).i32(form.twoD ? stageRow : 0);
    const rest = (name: "oh" | "ow", at: Local): void => {
      const kept = f.local();
      least(
        f,
        kept,
        () => arg(name).get(at).op("i32.sub"),
        () => f.i32(outputs),
      );
      f.get(kept);
    };
    if (form.twoD) rest("oh", y);
    else f.i32(1);
    if (form.alongX) rest("ow", x);
    else rest("oh", y);
    f.get(image);
    arg("oh").op("i32.mul").get(y).op("i32.add");
    arg("ow").op("i32.mul").get(x).op("i32.add");
    arg("ow");
    if (form.alongX) f.i32(1);
    else arg("ow");
    f.get(channel)
      .get(channels)
      .i32(4 * lanes)
      .op("i32.div_u")
      .get(channels)
      .i32(4 * lanes);
    f.op("i32.rem_u").call(last);
  });
}
