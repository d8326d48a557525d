// The walk of depth-wise kernels over rows. The parallel dimension is groups of output rows, as many as
// the tile is high; a last group with fewer rows takes them one by one. A row of outputs is runs of equal
// tiles: the one at the left border, inner ones, the last one, as wide as what is left; where sizes change
// from run to run, tiles that ask, then single columns. Nothing is computed twice. Tiles are shared by all
// kernels of a module that use the same.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";
import { type DepthSpec, DepthTile, inputRows, spanOf, type TileSize } from "./depthwise_tile.js";

/** Equal tiles side by side. */
export interface Run extends Omit<TileSize, "rows"> {
  readonly tiles: number;
  /** First output column. */
  readonly at: number;
}

export interface Tiling {
  readonly rows: number;
  readonly runs: readonly Run[];
  /** The last group has fewer rows. */
  readonly odd: boolean;
}

/** How the outputs of an image, oh × ow, are cut. @param w columns of the input */
export function tilingOf(
  s: Pick<DepthSpec, "kernel" | "stride" | "dilation" | "padLeft">,
  tile: Pick<TileSize, "rows" | "columns">,
  { oh, ow, w }: { readonly oh: number; readonly ow: number; readonly w: number },
  exact: boolean,
): Tiling {
  if (!exact) return askingTiles(s, tile, ow, w);
  const runs: Run[] = [];
  for (let at = 0; at < ow; at += tile.columns) {
    const columns = Math.min(tile.columns, ow - at);
    const first = at * s.stride[1] - s.padLeft;
    const hi = Math.max(0, Math.min(spanOf(s, columns), w - first));
    const lo = Math.min(hi, Math.max(0, -first));
    const last = runs.at(-1);
    if (last && last.columns === columns && last.lo === lo && last.hi === hi)
      runs[runs.length - 1] = { ...last, tiles: last.tiles + 1 };
    else runs.push({ columns, lo, hi, tiles: 1, at });
  }
  if (runs.length > 8) return askingTiles(s, tile, ow, w); // a long kernel over a short row
  return { rows: tile.rows, runs, odd: oh % tile.rows > 0 };
}

/** Tiles that serve any size. */
function askingTiles(
  s: Pick<DepthSpec, "kernel" | "stride" | "dilation" | "padLeft">,
  tile: Pick<TileSize, "rows" | "columns">,
  ow: number,
  w: number,
): Tiling {
  const overhang = Math.max(0, spanOf(s, ow) - s.padLeft - w);
  const whole = Math.floor(ow / tile.columns);
  const run = (columns: number, tiles: number, at: number): Run => {
    const hi = spanOf(s, columns);
    return { columns, lo: 0, hi, tiles, at, ask: [s.padLeft, overhang] };
  };
  const runs = [run(tile.columns, whole, 0), run(1, ow - whole * tile.columns, whole * tile.columns)];
  return { rows: tile.rows, runs, odd: tile.rows > 1 };
}

const runKey = (r: Run): string => `${r.columns}:${r.lo}-${r.hi}${r.ask ? `?${r.ask}` : ""}`;

export const tilingKey = (t: Tiling): string => `${t.odd ? "odd" : ""}${t.runs.map(runKey)}`;

export const runNames = (t: Tiling): string[] => t.runs.flatMap((_, i) => [`tiles${i}`, `at${i}`]);

/**
 * (args, begin, end): groups of rows, all images in one sequence.
 * @param key of what a tile depends on besides its size
 */
export function emitDepthwise(
  m: ModuleBuilder,
  layout: Layout<string>,
  s: DepthSpec,
  t: Tiling,
  key: string,
): number {
  const tiles = (rows: number): RowCode => ({
    rows,
    tiles: t.runs.map((r) =>
      m.once(`${key}_${rows}x${runKey(r)}`, () =>
        m.func(["i32", "i32", "i32", "i32", ...Array<"i32">(inputRows(s, rows)).fill("i32")], [], (f) =>
          new DepthTile(f, layout, s, { ...r, rows }).emit(),
        ),
      ),
    ),
  });
  const group = tiles(t.rows);
  const single = t.odd ? tiles(1) : undefined;
  return m.func(["i32", "i32", "i32"], [], (f) => new DepthRows(f, layout, s, t, group, single).emit());
}

/** Functions of the runs' tiles. */
interface RowCode {
  readonly rows: number;
  readonly tiles: readonly number[];
}

class DepthRows {
  readonly #rows: Local[];
  readonly #pixel: Local;
  /** First output row of the group, first input row, address of the image. */
  readonly #y: Local;
  readonly #iy: Local;
  readonly #image: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly s: DepthSpec,
    private readonly t: Tiling,
    private readonly group: RowCode,
    private readonly single: RowCode | undefined,
  ) {
    this.#rows = f.someLocals(inputRows(s, t.rows), "i32");
    [this.#pixel, this.#y, this.#iy, this.#image] = f.someLocals(4, "i32");
  }

  emit(): void {
    const { f, single } = this;
    const [begin, end] = [1, 2];
    const { rows } = this.t;
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin);
    this.#arg("groups").op("i32.rem_u").i32(rows).op("i32.mul").set(this.#y);
    f.get(begin);
    this.#arg("groups").op("i32.div_u").tee(this.#image);
    this.#arg("oh").op("i32.mul").get(this.#y).op("i32.add");
    this.#arg("ow").op("i32.mul").set(this.#pixel);
    this.#arg("x").get(this.#image);
    this.#arg("xImage").op("i32.mul", "i32.add").set(this.#image);
    if (!single) this.#run(this.group);
    else {
      f.get(this.#y).i32(rows).op("i32.add");
      this.#arg("oh").op("i32.le_u").if();
      this.#run(this.group);
      f.else().loop();
      this.#run(single);
      f.get(this.#pixel);
      this.#arg("ow").op("i32.add").set(this.#pixel);
      f.inc(this.#y, 1).get(this.#y);
      this.#arg("oh").op("i32.lt_u").brIf(0).end().end();
    }
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  }

  #arg(name: string): FunctionBuilder {
    return this.layout.push(this.f, 0, name);
  }

  /** One group of outputs at row y. */
  #run(code: RowCode): void {
    const { f, s } = this;
    const rows = this.#rows.slice(0, inputRows(s, code.rows));
    f.get(this.#y).i32(s.stride[0]).op("i32.mul");
    this.#arg("padTop").op("i32.sub").set(this.#iy);
    const y = f.local();
    rows.forEach((row, i) => {
      f.get(this.#iy)
        .i32(i * s.dilation[0])
        .op("i32.add")
        .set(y);
      f.get(this.#image).get(y);
      this.#arg("xRow").op("i32.mul", "i32.add");
      this.#arg("outside").get(y);
      this.#arg("h").op("i32.lt_u", "select").set(row);
    });
    f.free("i32", y);
    code.tiles.forEach((fn, i) => this.#call(fn, rows, i));
  }

  /** One run of tiles. */
  #call(fn: number, rows: readonly Local[], i: number): void {
    const { f, s } = this;
    const run = this.t.runs[i];
    if (run?.ask) this.#arg(`tiles${i}`).if();
    f.get(0).get(this.#pixel);
    this.#arg(`at${i}`).op("i32.add");
    this.#arg(`tiles${i}`);
    this.#arg(`at${i}`)
      .i32(s.stride[1])
      .op("i32.mul")
      .i32((run?.lo ?? 0) - s.padLeft)
      .op("i32.add");
    for (const row of rows) f.get(row);
    f.call(fn);
    if (run?.ask) f.end();
  }
}
