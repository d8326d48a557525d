// What all matrix kernels share around the tile: for each chunk of rows, fill the row table, then run
// every panel of weights over it. The tile is a function of its own, called once a panel and chunk: it
// becomes hot, and V8 optimises it, within the first inference.
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, ModuleBuilder } from "../assembler.js";
import type { Engine, Tile } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type Epilogue, epilogueNames, epilogueWords } from "./epilogue.js";
import { streamsFor } from "./gemm_ahead.js";
import { gemmTile, gemmWords, sumsBytes, type TileSpec } from "./gemm_tile.js";
import { type Fill, patchBytes } from "./row_edge.js";
import { windowWords } from "./row_windows.js";
import { type RowKind, rowTable } from "./rows.js";
import { callUnits, chunkRows, hasLow, tileFor, unrollOf } from "./tiles.js";

export interface Window {
  readonly h: number;
  readonly w: number;
  readonly oh: number;
  readonly ow: number;
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly pad: readonly [number, number];
  readonly kernel: readonly [number, number];
  /** Bytes between rows and images of x. */
  readonly rowBytes: number;
  readonly imageBytes: number;
}

export interface GemmPlan {
  /** Head of the grammar name, e.g. "igemm", "dense". */
  readonly name: string;
  readonly epilogue: Epilogue;
  readonly outValue: number;
  readonly rows: number;
  /** They change with the model's sizes: code may not depend on them. */
  readonly dynamic?: boolean | undefined;
  /** Output channels, all groups. */
  readonly channels: number;
  readonly groups: number;
  readonly x: ArgWord;
  /** Bytes from one input pixel to the next; of one group's channels within a pixel. */
  readonly pitchBytes: number;
  readonly groupBytes: number;
  readonly rowKind: RowKind;
  readonly window?: Window;
  readonly taps: number;
  /** float32 elements of k in one tap. */
  readonly k: number;
  readonly weights: Packed;
  /** Distinct input bytes that one more output row touches. */
  readonly rowInput: number;
}

const groupWords = ["groups", "groupBytes"] as const;

/** Loops over chunks, groups and panels. */
export function planGemm(step: Step, p: GemmPlan, engine: Engine): PlannedKernel {
  const plain = p.rowKind === "plain" ? p.k : Number.POSITIVE_INFINITY;
  const fixedRows = p.dynamic ? 0 : p.rows;
  const tile = tileFor(engine.f32, p.channels / p.groups, fixedRows, engine.fma, plain);
  const low = hasLow(fixedRows, tile.mr);
  const depth = depthOf(p.k, p.taps, unrollOf(engine.fma));
  const spec = (channels: number): TileSpec => ({
    kind: "f32",
    fma: engine.fma,
    mr: tile.mr,
    low,
    channels,
    ...depth,
    epilogue: p.epilogue,
    single: p.rowKind === "plain",
    ahead,
  });
  const each = p.channels / p.groups;
  const layout = gemmLayout(p.epilogue);
  const tail = each % tile.nr;
  const panels = Math.floor(each / tile.nr);
  const rowsAndScratch = scratchOf(p, tile);
  // Rows that stay in the cache: shares are panels, so that threads read other weights.
  const byPanels = p.rows <= rowsAndScratch.chunk && p.groups === 1 && !p.dynamic && panels > 1;
  const depthMacs = p.k * p.taps;
  const ahead = engine.fma ? streamsFor(fixedRows, 4 * depthMacs * each, 4 * depthMacs * tile.nr) : undefined;
  const name = `f32_${p.name}_${tile.mr}x${tile.nr}_${engine.fma ? "fma" : "muladd"}`;
  const kEnd = depthKey(depth);
  const key = `${name}_${p.rowKind}_${kEnd}_${each < tile.nr ? 0 : 1}+${tail}${p.groups > 1 ? "_groups" : ""}${byPanels ? "_panels" : ""}${ahead ? `_${ahead}` : ""}${low ? "_low" : ""}_${p.epilogue.key}`;
  const { words: extra, packed } = epilogueWords(p.epilogue, 1, p.channels, p.groups);
  const panel = 32 * depthMacs;
  const rowsOfCall = callUnits(depthMacs * p.channels, tile.mr, 8 * tile.mr);
  const args = layout.words({
    x: p.x,
    weights: { kind: "packed", index: 0 },
    out: { kind: "view", value: p.outValue, element: p.epilogue.outOffset },
    outPitch: p.epilogue.outPitch * p.epilogue.outBytes,
    scratch: { kind: "scratch" },
    zero: { kind: "zero" },
    steps: Math.floor(p.k / depth.unroll),
    taps: p.taps,
    panelBytes: panel,
    panels,
    chunk: byPanels ? p.rows : rowsAndScratch.chunk,
    sums: rowsAndScratch.bytes,
    ...windowArgs(p, rowsAndScratch.patches),
    groups: p.groups,
    groupBytes: p.groupBytes,
    ...Object.fromEntries(epilogueNames(p.epilogue).map((n, i) => [n, extra[i] as ArgWord])),
  });
  return {
    key,
    label: `${name}${step.fused.length ? `_${step.fused.join("_").toLowerCase()}` : ""}`,
    emit: (m) =>
      emitGemm(m, { layout, rowKind: p.rowKind, tile, each, groups: p.groups > 1, byPanels, spec }),
    ...(byPanels
      ? { extent: panels + Math.sign(tail), grain: callUnits(p.rows * depthMacs * tile.nr, 1, 1), unit: 1 }
      : { extent: p.rows, grain: Math.min(rowsAndScratch.chunk, rowsOfCall), unit: tile.mr }),
    args,
    packed: [p.weights, ...packed],
    scratchBytes: rowsAndScratch.bytes + sumsBytes,
    zeroBytes: p.k * 4 + 64,
  };
}

/** How k steps of a tap are cut into blocks: words and code. */
export interface Depth {
  readonly unroll: number;
  readonly blocks: boolean;
  readonly rest: number;
}

/**
 * Short lines of k (first convolutions: kw·3) are unrolled whole where unrolling pays (lines of 4: 34.7 → 37.6
 * GFLOPS, of 12: 41.7 → 43.1; 8→16@48 42.5 → 44.8), else blocks and a rest.
 * @param k steps of one tap
 */
export function depthOf(k: number, taps: number, unroll: number): Depth {
  const short = unroll > 1 && (k <= 16 || (taps > 1 && k <= 32 && k % unroll !== 0));
  if (k < unroll || short) return { unroll, blocks: false, rest: k };
  return { unroll, blocks: true, rest: k % unroll };
}
export const depthKey = (d: Depth): string => `k${d.blocks ? d.unroll : 0}+${d.rest}`;

/** Words of the integer kernels. */
export const integerWords = [
  "rowTaps",
  "tapK",
  "zeroPoint",
  "fill",
  "rowWide",
  "wide",
  "tileTable",
  "packedPanel", // weights of 8 channels where they are packed as bytes, and where they are widened to
  "wideWeights",
  "orders", // quad_order.ts; bytes a channel
  "orderBytes",
] as const;

/** Words of products of two computed matrices. */
export const matmulWords = [
  "b",
  "bRow",
  "bColumn",
  "aBatch",
  "bBatch",
  "m",
  "k",
  "panelAt",
  "lastPanel",
] as const;

/** One layout for all matrix kernels, so that they share tiles and row tables. */
export const gemmLayout = (epilogue: Epilogue): Layout<string> => {
  const own = [...groupWords, ...integerWords, ...matmulWords];
  return new Layout<string>([...gemmWords, ...windowWords, ...own, ...epilogueNames(epilogue)]);
};

export function windowArgs(
  p: Pick<GemmPlan, "pitchBytes" | "window">,
  patches: number,
): Record<string, ArgWord | number> {
  const w = p.window;
  if (!w) return { xPitch: p.pitchBytes };
  return {
    xPitch: p.pitchBytes,
    xRow: w.rowBytes,
    xImage: w.imageBytes,
    h: w.h,
    w: w.w,
    oh: w.oh,
    ow: w.ow,
    strideY: w.stride[0],
    strideX: w.stride[1],
    dilationY: w.dilation[0],
    dilationX: w.dilation[1],
    padTop: w.pad[0],
    padLeft: w.pad[1],
    kh: w.kernel[0],
    kw: w.kernel[1],
    lineBytes: w.kernel[1] * p.pitchBytes,
    patches,
  };
}

export interface Scratch {
  readonly chunk: number;
  readonly patches: number;
  readonly bytes: number;
}

/** Table of a chunk, then its patches. */
export function scratchOf(
  p: Pick<GemmPlan, "rows" | "taps" | "rowInput" | "rowKind" | "window" | "pitchBytes">,
  tile: Tile,
): Scratch {
  const tableRow = 4 * (p.taps + 1);
  let chunk = chunkRows(p.rows, tile.mr, p.rowInput + tableRow);
  const patchRow = p.rowKind === "line" && p.window ? patchBytesPerRow(p.window, p.pitchBytes) : null;
  const patchBytes = (rows: number): number => (patchRow ? patchRow(rows + tile.mr) : 0);
  const limit = 1 << 20;
  while (chunk > tile.mr && patchBytes(chunk) > limit)
    chunk = Math.max(tile.mr, Math.floor(chunk / 2 / tile.mr) * tile.mr);
  const table = Math.ceil((tableRow * (chunk + tile.mr)) / 64) * 64;
  return { chunk, patches: table, bytes: table + patchBytes(chunk) + 64 };
}

/** Most patch bytes that a run of output pixels can need. */
function patchBytesPerRow(w: Window, pitch: number): (rows: number) => number {
  let crossing = 0;
  for (let x = 0; x < w.ow; x++) {
    const ix = x * w.stride[1] - w.pad[1];
    if (ix < 0 || ix + w.kernel[1] > w.w) crossing++;
  }
  const each = w.kernel[0] * patchBytes(w.kernel[1] * pitch);
  return (rows) =>
    each * Math.min(rows, crossing === 0 ? 0 : (Math.ceil(rows / w.ow) + 1) * crossing + (rows % 8));
}

export interface Body {
  readonly layout: Layout<string>;
  readonly rowKind: RowKind;
  readonly tile: Tile;
  /** Channels of a group. */
  readonly each: number;
  readonly groups: boolean;
  /** The extent is panels of the tile's channels, all over the rows of one chunk; default: it is rows. */
  readonly byPanels?: boolean;
  readonly spec: (channels: number) => TileSpec;
  /** How the outside of the image reads where rows are copied; default zeros. */
  readonly fill?: Fill;
  /** Between the row table and the tiles: a function (args, rows) that leaves the tiles' table elsewhere. */
  readonly prepare?: { readonly fn: number; readonly tableWord: string };
  /** Function (from, to, quads of k): a tile's weights are widened to scratch before it runs. */
  readonly widen?: number | undefined;
}

export function emitGemm(m: ModuleBuilder, b: Body): number {
  const { layout, tile } = b;
  const tail = b.each % tile.nr;
  const fill = rowTable(m, b.rowKind, tile.mr, layout, b.fill);
  const whole = b.each >= tile.nr ? gemmTile(m, b.spec(tile.nr), layout) : -1;
  const last = tail ? gemmTile(m, b.spec(tail), layout) : -1;
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const rows = f.local();
    if (b.byPanels) return somePanels(f, b, { fill, whole, last, rows });
    chunks(f, layout, rows, () => {
      const w = layout.local(f, 0, "weights");
      const slot = f.local();
      const start = f.local();
      const xOffset = f.local();
      f.i32(0).set(slot).i32(0).set(start).i32(0).set(xOffset);
      const group = (): void => {
        f.get(0).get(1).get(rows).get(xOffset).call(fill);
        if (b.prepare) f.get(0).get(rows).call(b.prepare.fn);
        panels(f, b, { whole, last, rows, w, slot, start });
      };
      if (!b.groups) return group();
      const g = layout.local(f, 0, "groups");
      f.repeat(g, () => {
        group();
        layout.push(f, 0, "groupBytes").get(xOffset).op("i32.add").set(xOffset);
        f.get(slot).i32(15).op("i32.add").i32(-16).op("i32.and").set(slot);
      });
    });
  });
}

/** Panels begin…end−1 (locals 1, 2) over all rows. */
function somePanels(
  f: FunctionBuilder,
  b: Body,
  l: Pick<PanelLocals, "whole" | "last" | "rows"> & { readonly fill: number },
): void {
  const { layout, tile } = b;
  const [slot, start, w, n] = [f.local(), f.local(), f.local(), f.local()];
  layout.push(f, 0, "chunk").set(l.rows);
  f.get(0).i32(0).get(l.rows).i32(0).call(l.fill);
  f.get(1).i32(tile.nr).op("i32.mul").tee(slot).set(start);
  layout
    .push(f, 0, "weights")
    .get(1)
    .i32(tile.nr / 8)
    .op("i32.mul");
  layout.push(f, 0, "panelBytes").op("i32.mul", "i32.add").set(w);
  layout
    .push(f, 0, "panels")
    .tee(n)
    .get(2)
    .get(n)
    .get(2)
    .op("i32.lt_u", "select")
    .get(1)
    .op("i32.sub")
    .set(n);
  panels(f, b, { ...l, w, slot, start, n });
}

/** begin (local 1) walks to end (local 2) by "chunk"; `rows` holds the rows of the chunk. */
export function chunks(f: FunctionBuilder, layout: Layout<string>, rows: number, body: () => void): void {
  f.block().get(1).get(2).op("i32.ge_u").brIf(0).loop();
  layout.push(f, 0, "chunk").get(2).get(1).op("i32.sub");
  layout.push(f, 0, "chunk").get(2).get(1).op("i32.sub", "i32.lt_u", "select").set(rows);
  body();
  f.incBy(1, rows).get(1).get(2).op("i32.lt_u").brIf(0).end().end();
}

interface PanelLocals {
  /** Whole tiles, perhaps none, and the tail where `end` (local 2) is beyond them; default: all. */
  readonly n?: number;
  /** Address of the words that the tile reads; default: the kernel's own. */
  readonly args?: number;
  readonly whole: number;
  readonly last: number;
  readonly rows: number;
  readonly w: number;
  readonly slot: number;
  readonly start: number;
}

/** One group: whole tiles of nr channels, then the tail. Leaves w, slot and start behind it. */
export function panels(
  f: FunctionBuilder,
  b: Pick<Body, "layout" | "tile" | "each" | "prepare" | "widen">,
  l: PanelLocals,
): void {
  const { layout, tile } = b;
  const tail = b.each % tile.nr;
  const weights = (): FunctionBuilder => {
    if (b.widen === undefined) return f.get(l.w);
    layout.push(f, 0, "scratch");
    return layout.push(f, 0, "wideWeights").op("i32.add");
  };
  const call = (fn: number, channels: number): void => {
    if (b.widen !== undefined) {
      f.get(l.w);
      weights();
      layout
        .push(f, 0, "packedPanel")
        .i32(Math.ceil(channels / 8))
        .op("i32.mul")
        .i32(5)
        .op("i32.shr_u");
      f.call(b.widen);
    }
    f.get(l.args ?? 0);
    layout.push(f, 0, "scratch");
    if (b.prepare) layout.push(f, 0, b.prepare.tableWord).op("i32.add");
    f.get(l.rows);
    weights().get(l.slot).get(l.start).call(fn);
  };
  const advance = (channels: number): void => {
    layout
      .push(f, l.args ?? 0, b.widen === undefined ? "panelBytes" : "packedPanel")
      .i32(Math.ceil(channels / 8))
      .op("i32.mul")
      .get(l.w)
      .op("i32.add")
      .set(l.w);
    f.inc(l.slot, channels).inc(l.start, channels);
  };
  if (l.whole >= 0) {
    const n = l.n ?? layout.local(f, 0, "panels");
    if (l.n !== undefined) f.get(n).if();
    f.repeat(n, () => {
      call(l.whole, tile.nr);
      advance(tile.nr);
    });
    if (l.n !== undefined) f.end();
  }
  if (l.last >= 0) {
    if (l.n !== undefined) layout.push(f, 0, "panels").get(2).op("i32.lt_u").if();
    call(l.last, tail);
    advance(tail);
    if (l.n !== undefined) f.end();
  }
}
