// The functions around the transforms and the product of winograd.ts: which tile reads and writes where.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import { markAt } from "../driver.js";
import { imageWords, Layout } from "./arguments.js";
import type { Epilogue } from "./epilogue.js";
import { gemmTile, gemmWords, type TileSpec } from "./gemm_tile.js";
import { roundUp } from "./operands.js";
import { type Cut, pointsOf } from "./winograd_cost.js";
import { atColumns, atFree, type Code, inputTile, least, outputTile, stageRow } from "./winograd_tiles.js";

export const winogradWords = [
  "x",
  "weights",
  "out",
  "outPitch",
  "scratch",
  "zero",
  "constants", // of Bᵀ, then of Aᵀ
  ...imageWords,
  "padTop",
  "padLeft",
  "tilesX",
  "tilesY",
  "tiles", // of all images
  "block",
  "slices",
  "slicePanels", // panels of nr channels in a slice
  "panels",
  "channels",
  "steps",
  "panelBytes", // weights of 8 channels, one point
  "iterations", // of a transform over the input's channels
  "rowV", // bytes of a tile, of a point
  "planeV",
  "rowM",
  "rowsM", // tiles from one point to the next
  "atTable", // in the scratch
  "atStage",
  "atV",
  "atM",
] as const;

/** Where things lie in a thread's scratch. */
export function scratchOf(cut: Cut, c: number): { args: Record<string, number>; bytes: number } {
  const points = pointsOf(cut.form);
  const rowV = 4 * roundUp(c, 4 * cut.lanes);
  // Planes an odd number of lines apart: their rows fall into different sets of the cache.
  const planeV = (((cut.block * rowV + 63) >> 6) | 1) << 6;
  const rowM = 4 * cut.slicePanels * cut.tile.nr;
  const rowsM = cut.block + 1;
  const atStage = atFree + roundUp(points * cut.block * 8, 64);
  const atV = atStage + (cut.form.twoD ? points * stageRow : 0);
  const atM = atV + points * planeV;
  const iterations = rowV / (16 * cut.lanes);
  return {
    args: { iterations, rowV, planeV, rowM, rowsM, atTable: atFree, atStage, atV, atM },
    bytes: atM + points * rowsM * rowM + 64,
  };
}

/** (args, first unit, end); a unit is a slice of a block. */
export function emitWinograd(m: ModuleBuilder, c: Code): number {
  const { layout, tile } = c;
  const tail = c.channels % tile.nr;
  const inner = new Layout<string>(gemmWords);
  const spec = (channels: number): TileSpec => ({
    kind: "f32",
    fma: c.fma,
    mr: tile.mr,
    channels,
    ...c.depth,
    epilogue: bare,
    ahead: c.ahead,
  });
  const whole = c.channels >= tile.nr ? gemmTile(m, spec(tile.nr), inner) : -1;
  const last = tail ? gemmTile(m, spec(roundUp(tail, 4 * c.lanes)), inner) : -1;
  const input = inputTile(m, c);
  const output = outputTile(m, c);
  const table = rowTable(m, c);
  return m.func(["i32", "i32", "i32"], [], (f) =>
    new Blocks(f, layout, inner, c, { whole, last, input, output, table }).emit(),
  );
}

const bare: Epilogue = {
  key: "acc",
  expr: { k: "in", i: -1, t: "f32" },
  operands: [],
  init: undefined,
  outType: "float32",
  outBytes: 4,
  outPitch: 0,
  outOffset: 0,
  numbers: [],
  low: false,
};

interface Functions {
  readonly whole: number;
  readonly last: number;
  readonly input: number;
  readonly output: number;
  readonly table: number;
}

class Blocks {
  readonly #scratch: Local;
  readonly #tile: Local;
  readonly #rows: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly inner: Layout<string>,
    private readonly c: Code,
    private readonly fn: Functions,
  ) {
    this.#scratch = layout.local(f, 0, "scratch");
    this.#tile = f.local();
    this.#rows = f.local();
  }

  #arg(name: string): FunctionBuilder {
    return this.layout.push(this.f, 0, name);
  }
  /** Pushes an address in the scratch. */
  #place(name: string): FunctionBuilder {
    this.f.get(this.#scratch);
    return this.#arg(name).op("i32.add");
  }

  emit(): void {
    const { f, inner } = this;
    const [begin, end] = [1, 2];
    const word = (name: string, push: () => void): void => {
      f.get(this.#scratch);
      push();
      f.store(inner.offset(name));
    };
    word("out", () => this.#place("atM"));
    word("outPitch", () => this.#arg("rowM"));
    word("steps", () => this.#arg("steps"));
    word("taps", () => f.i32(1));
    word("panelBytes", () => this.#arg("panelBytes"));
    if (this.c.form.twoD) {
      const column = f.local();
      const { n } = this.c.form.toom;
      this.#place("atStage").set(column);
      for (let x = 0; x < n; x++) {
        f.get(this.#scratch)
          .get(column)
          .store(atColumns + 4 * x);
        f.inc(column, n * stageRow);
      }
    }
    const filled = f.local();
    const slice = f.local();
    const slices = f.local();
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin);
    this.#arg("slices").op("i32.rem_u").set(slice);
    f.get(begin);
    this.#arg("slices").op("i32.div_u");
    this.#arg("block").op("i32.mul").set(this.#tile);
    least(
      f,
      this.#rows,
      () => this.#arg("block"),
      () => this.#arg("tiles").get(this.#tile).op("i32.sub"),
    );
    f.get(this.#rows).get(filled).op("i32.ne").if();
    f.get(0).get(this.#rows).call(this.fn.table).get(this.#rows).set(filled).end();
    // V is there when the chunk before was of the same block.
    f.get(this.#tile).i32(1).op("i32.add").get(this.#scratch).load(markAt).op("i32.ne").if();
    this.#input();
    f.get(this.#scratch).get(this.#tile).i32(1).op("i32.add").store(markAt).end();
    least(
      f,
      slices,
      () => this.#arg("slices").get(slice).op("i32.sub"),
      () => f.get(end).get(begin).op("i32.sub"),
    );
    f.incBy(begin, slices);
    f.repeat(slices, () => {
      this.#slice(slice);
      f.inc(slice, 1);
    });
    f.get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  }

  #input(): void {
    const { f } = this;
    const n = f.local();
    const tile = f.local();
    const to = f.local();
    f.get(this.#tile).set(tile).get(this.#rows).set(n);
    this.#place("atV").set(to);
    f.repeat(n, () => {
      f.get(0).get(tile).get(to).call(this.fn.input).inc(tile, 1).get(to);
      this.#arg("rowV").op("i32.add").set(to);
    });
    f.free("i32", n, tile, to);
  }

  #slice(slice: Local): void {
    const { f, c } = this;
    const { nr } = c.tile;
    const first = f.local();
    const panels = f.local();
    const points = f.local();
    const table = f.local();
    const weights = f.local();
    const tableBytes = f.local();
    f.get(slice);
    this.#arg("slicePanels").op("i32.mul").set(first);
    least(
      f,
      panels,
      () => this.#arg("slicePanels"),
      () => this.#arg("panels").get(first).op("i32.sub"),
    );
    // Weights lie as they are read: slice, point, panel (winograd_pack.ts).
    this.#arg("weights").get(first);
    this.#arg("panelBytes")
      .i32((nr / 8) * pointsOf(c.form))
      .op("i32.mul", "i32.mul", "i32.add")
      .set(weights);
    this.#place("atTable").set(table);
    this.#arg("block").i32(8).op("i32.mul").set(tableBytes);
    f.i32(pointsOf(c.form)).set(points);
    f.repeat(points, () => {
      this.#point(panels, first, table, weights);
      f.incBy(table, tableBytes);
    });
    f.free("i32", points, table, weights, tableBytes);
    this.#output(first, panels);
    f.free("i32", first, panels);
  }

  /** One product: the block's rows times the slice's panels, which `w` steps over. */
  #point(panels: Local, first: Local, table: Local, w: Local): void {
    const { f, c, fn } = this;
    const { nr } = c.tile;
    const left = f.local();
    const start = f.local();
    const call = (which: number, channels: number): void => {
      f.get(this.#scratch).get(table).get(this.#rows).get(w).i32(0).get(start).call(which).get(w);
      this.#arg("panelBytes")
        .i32(Math.ceil(channels / 8))
        .op("i32.mul", "i32.add")
        .set(w);
    };
    f.get(panels).set(left).i32(0).set(start);
    f.repeat(left, () => {
      if (fn.whole < 0) call(fn.last, c.channels);
      else if (fn.last < 0) call(fn.whole, nr);
      else {
        // The last panel of all is the tail.
        f.get(left).i32(1).op("i32.eq").get(first).get(panels).op("i32.add");
        this.#arg("panels").op("i32.eq", "i32.and").if();
        call(fn.last, c.channels % nr);
        f.else();
        call(fn.whole, nr);
        f.end();
      }
      f.inc(start, nr);
    });
    f.free("i32", left, start);
  }

  #output(first: Local, panels: Local): void {
    const { f, c } = this;
    const n = f.local();
    const tile = f.local();
    const from = f.local();
    const channel = f.local();
    const channels = f.local();
    f.get(first).i32(c.tile.nr).op("i32.mul").set(channel);
    least(
      f,
      channels,
      () => f.get(panels).i32(c.tile.nr).op("i32.mul"),
      () => this.#arg("channels").get(channel).op("i32.sub"),
    );
    f.get(this.#tile).set(tile).get(this.#rows).set(n);
    this.#place("atM").set(from);
    f.repeat(n, () => {
      f.get(0).get(tile).get(from).get(channel).get(channels).call(this.fn.output).inc(tile, 1).get(from);
      this.#arg("rowM").op("i32.add").set(from);
    });
    f.free("i32", n, tile, from, channel, channels);
  }
}

/** (args, rows): [point][group of mr tiles][mr addresses in V, mr rows in M]; rows beyond the last repeat it. */
function rowTable(m: ModuleBuilder, c: Code): number {
  const { layout, form, tile } = c;
  const { mr } = tile;
  const points = pointsOf(form);
  return m.once(`winograd_table_${mr}_${points}@${layout.names.join()}`, () =>
    m.func(["i32", "i32"], [], (f) => {
      const arg = (name: string): FunctionBuilder => layout.push(f, 0, name);
      const rows = 1;
      const table = f.local();
      const plane = f.local(); // the point's first tile: in V, its row in M
      const first = f.local();
      const point = f.local();
      const p = f.local();
      const v = f.local();
      const pixel = f.local();
      const row = f.local();
      const groups = f.local();
      arg("scratch").tee(table);
      arg("atV").op("i32.add").set(plane);
      f.get(table);
      arg("atTable").op("i32.add").set(table);
      f.i32(points).set(point);
      f.repeat(point, () => {
        f.get(table).set(p).get(plane).set(v).get(first).set(pixel).i32(0).set(row);
        f.get(rows).ceilDiv(mr).set(groups);
        f.repeat(groups, () => {
          for (let i = 0; i < mr; i++) {
            f.get(p)
              .get(v)
              .store(4 * i)
              .get(p)
              .get(pixel)
              .store(4 * (mr + i));
            f.inc(row, 1).get(row).get(rows).op("i32.lt_u").if();
            f.inc(pixel, 1).get(v);
            arg("rowV").op("i32.add").set(v).end();
          }
          f.inc(p, 8 * mr);
        });
        f.get(table);
        arg("block").i32(8).op("i32.mul", "i32.add").set(table);
        f.get(plane);
        arg("planeV").op("i32.add").set(plane);
        f.get(first);
        arg("rowsM").op("i32.add").set(first);
      });
    }),
  );
}
