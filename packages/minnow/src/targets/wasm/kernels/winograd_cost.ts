// Which form of Winograd's convolution runs a layer, if any, and how it is cut: all judgements about its speed.
import type { Engine, Tile } from "../engine.js";
import { roundUp } from "./operands.js";
import { type Toom, toom } from "./winograd_toom.js";

export interface Form {
  /** Outputs and taps, e.g. "4x4_3x3", "1x4_1x7". */
  readonly name: string;
  readonly toom: Toom;
  /** Axes along which the kernel has taps. */
  readonly alongY: boolean;
  readonly alongX: boolean;
  readonly twoD: boolean;
}

export const pointsOf = (f: Form): number => f.toom.n ** (f.twoD ? 2 : 1);

export interface Size {
  readonly images: number;
  readonly oh: number;
  readonly ow: number;
  readonly c: number;
  readonly o: number;
  /** Other images will come: code must not depend on their size. */
  readonly dynamic: boolean;
}

/** How a layer runs. */
export interface Cut {
  readonly form: Form;
  readonly tile: Tile;
  /** Vectors of 4 channels that a transform takes at once. */
  readonly lanes: number;
  readonly tilesX: number;
  readonly tilesY: number;
  readonly tiles: number;
  /** Tiles a block, a multiple of tile.mr. */
  readonly block: number;
  readonly blocks: number;
  /** Slices of output channels; panels of tile.nr channels in one. */
  readonly slices: number;
  readonly slicePanels: number;
  /** The product reads the next panel's weights ahead. */
  readonly ahead: boolean;
}

/** Channels that one pass of a transform takes, so that its stage stays in the first-level cache. */
export const stageChannels = 64;

const known = new Map<string, Form>();

/**
 * The form with m outputs for a kernel, or null where there is none. Two dimensions take 6 points at most: 8 are
 * four to nine times less exact than direct sums (winograd_toom.ts).
 */
export function formOf(m: number, [kh, kw]: readonly [number, number]): Form | null {
  const r = Math.max(kh, kw);
  const twoD = kh > 1 && kw > 1;
  if ((twoD && kh !== kw) || r % 2 === 0 || r < 3 || m + r - 1 > (twoD ? 6 : 10)) return null;
  const name = `${kh > 1 ? m : 1}x${kw > 1 ? m : 1}_${kh}x${kw}`;
  let form = known.get(name);
  if (!form) {
    form = { name, toom: toom(m, r), alongY: kh > 1, alongX: kw > 1, twoD };
    known.set(name, form);
  }
  return form;
}

export const formsOf = (kernel: readonly [number, number]): Form[] =>
  [4, 2].flatMap((m) => formOf(m, kernel) ?? []);

/** @param always also where direct convolution is faster */
export function chooseCut(
  forms: readonly Form[],
  kernel: readonly [number, number],
  size: Size,
  engine: Engine,
  always: boolean,
): Cut | null {
  // Where sizes are free one judgement serves all: another form would be more code, the weights once more,
  // and other bits.
  const judged = size.dynamic ? { ...size, images: 1, oh: usual, ow: usual } : size;
  let best: Form | null = null;
  let least = always ? Number.POSITIVE_INFINITY : directTime(kernel, judged, engine);
  for (const form of forms) {
    const cut = cutOf(form, judged, engine);
    const time = cut ? timeOf(cut, judged, engine) : Number.POSITIVE_INFINITY;
    if (time < least) [best, least] = [form, time];
  }
  return best && cutOf(best, size, engine);
}

const usual = 32;

/** GFLOPS of the matrix product: 43–48, 38–40 where product and sum are two instructions; wide twice that. */
const rate = (engine: Engine): number => (engine.fma ? 46 : 38) * (engine.wide ? 2 : 1);

/**
 * Bytes a nanosecond. In a network weights come from memory, at 16; 10, because they also have to be kept: at
 * 7×7 512→512 (ResNet) F4×4 would win 15 % over F2×2 and take 38 MB for 17.
 */
const bandwidth = 10;

/** Nanoseconds. */
function directTime([kh, kw]: readonly [number, number], s: Size, engine: Engine): number {
  const weights = kh * kw * s.c * s.o;
  return (2 * weights * s.images * s.oh * s.ow) / rate(engine) + (4 * weights) / bandwidth;
}

function timeOf(cut: Cut, s: Size, engine: Engine): number {
  const points = pointsOf(cut.form);
  const weights = points * s.c * s.o;
  const padded = roundUp(cut.tiles, cut.tile.mr);
  // 150 cycles for four channels of 36 points, in and out (90 wide); 185 where channels are few.
  const transforms = points * (s.c + s.o) * (engine.wide ? 0.21 : 0.35);
  return (2 * weights * padded) / rate(engine) + (4 * weights) / bandwidth + cut.tiles * (transforms + 100);
}

/** @returns null where the scratch would be too large */
function cutOf(form: Form, s: Size, engine: Engine): Cut | null {
  const { m } = form.toom;
  const points = pointsOf(form);
  const nr = s.o <= 8 ? 8 : engine.f32.nr;
  const lanes = engine.wide && nr === 16 ? 2 : 1;
  const [my, mx] = [form.alongY ? m : 1, form.alongX ? m : 1];
  const tilesY = Math.ceil(s.oh / my);
  const tilesX = Math.ceil(s.ow / mx);
  const tiles = s.images * tilesY * tilesX;
  const tile = { mr: s.dynamic ? engine.f32.mr : heightOf(tiles, engine), nr } as const;
  const panels = Math.ceil(s.o / nr);
  const slicePanels = Math.min(panels, stageChannels / nr);
  const each = 4 * points * (roundUp(s.c, 4 * lanes) + slicePanels * nr);
  const streamed = 4 * points * s.c * s.o > largeWeights && s.o > 2 * tiles;
  const budget = streamed ? scratchLimit : blockBytes;
  const most = Math.floor(budget / each / tile.mr) * tile.mr || tile.mr;
  if (most * each > scratchLimit) return null;
  const block = roundUp(Math.ceil(tiles / Math.ceil(tiles / most)), tile.mr);
  const blocks = Math.ceil(tiles / block);
  const slices = Math.ceil(panels / slicePanels);
  return {
    form,
    tile,
    lanes,
    tilesX,
    tilesY,
    tiles,
    block,
    blocks,
    slices,
    slicePanels,
    ahead: engine.fma && !s.dynamic && tiles <= fewTiles,
  };
}

/**
 * V and M of a block: within the second-level cache (28×28 128→128: 12 tiles 139 GFLOPS, 24 124, 48 114), but
 * weights beyond it, and beyond V, should pass as few blocks as can be (wide, 14×14 256→256 by F2×2: 4 blocks
 * 1.65 ms, 1 block 1.56; on two threads 0.97 and 0.80).
 */
const blockBytes = 300 * 1024;
const largeWeights = 2 * 1024 * 1024;
/** Weights that serve so few tiles come from memory: 17×17, 8×8 and 28×28 are 4–8 % faster, 71×71 4 % slower. */
const fewTiles = 100;
const scratchLimit = 1.75 * 1024 * 1024;

/** The height that computes fewest rows in all; 4 rows are 6 % slower each, 5 rows 4 %. */
function heightOf(tiles: number, { f32 }: Engine): number {
  const price = (mr: number): number => roundUp(tiles, mr) * (1 + 0.03 * (f32.mr - mr));
  return [5, 4].reduce((best, mr) => (mr < f32.mr && price(mr) < price(best) ? mr : best), f32.mr);
}
