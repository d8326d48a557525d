// Quantised convolution and dense: 8-bit rows of a chunk are widened to int16 minus their zero point
// (taps side by side, so k is one run), weights are int16 pairs, or bytes that become such a panel at a time
// (widen_int8.ts), and the tile multiplies pairs by i32x4.dot_i16x8_s: exact, about 1.5 × the float32 rate
// on x86. The epilogue requantises in float32.
//
// Versions: i16_{gemm|igemm}_{mr}x{nr}: 4×8 everywhere, 4×16 where V8 pairs vectors (6×8 spills).
import type { LoopNest } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import { isReleased } from "../../../graph/released.js";
import type { ArgWord, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { convGeometry, convRows } from "./conv.js";
import { constantProduct } from "./dense.js";
import { filled } from "./depthwise_plan.js";
import { type Epilogue, epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import {
  type Depth,
  depthKey,
  depthOf,
  emitGemm,
  gemmLayout,
  type GemmPlan,
  scratchOf,
  windowArgs,
} from "./gemm.js";
import type { TileSpec } from "./gemm_tile.js";
import { roundUp } from "./operands.js";
import type { Matrix } from "./pack.js";
import { packBytes, packedPanel, packPairs, pairBytes } from "./pairs.js";
import { integerProduct, type IntegerProduct, weightMatrix } from "./products.js";
import { flips, hasQuads, isWhole, QuadCode, type QuadEngine } from "./quad_code.js";
import { canOrder } from "./quad_order.js";
import { orderedCode } from "./quad_rows.js";
import { packQuads, quadsPay } from "./quad_weights.js";
import { orderBytes, ordersAt, type QuadMatrix, quadPanelBytes, quadsKey, quadsOf } from "./quads.js";
import { requantizing } from "./requantize.js";
import { streamsFor } from "./gemm_ahead.js";
import { planGemvInt8 } from "./gemv_int8.js";
import { unrollOf } from "./tiles.js";
import { fillByte } from "./row_edge.js";
import {
  integerTile,
  leastOrdered,
  leastWeight,
  mostPadded,
  mostPairsRows,
  orderedTile,
  wholeSteps,
} from "./tiles_int8.js";
import { shortKey, widenRows, widenWeights } from "./widen_int8.js";

export const convInt8: TunedKernel = { kernels: ["conv2d"], plan: planConv };
export const denseInt8: TunedKernel = { kernels: ["dense", "matmul"], plan: planDense };

type Rows = Omit<GemmPlan, "epilogue" | "outValue" | "weights">;

function planConv(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest) return null;
  const rows = convRows(g, nest);
  if (g.group > 1 && rows.inner < 4) return null;
  const product = integerProduct(step, nest, program, rows.channels);
  const weights = weightMatrix(program, g.w, rows.channels, rows.taps * rows.k);
  const epilogue = epilogueOf(step, nest, program, { channelLoop: 3, ...requantizing(engine) });
  if (!product || !weights || !epilogue) return null;
  return planInteger(nest, engine, program, rows, product, weights, epilogue, g.x.dtype === "int8");
}

function planDense(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const nest = step.nest;
  if (!nest || nest.loops.some((n) => n === 0)) return null;
  const p = constantProduct(step, nest, program);
  if (!p) return null;
  const product = integerProduct(step, nest, program, p.weights.n);
  const epilogue = epilogueOf(step, nest, program, requantizing(engine));
  if (!product || !epilogue) return null;
  const rows: Rows = {
    name: "gemm",
    rows: nest.loops.slice(0, -1).reduce((a, b) => a * b, 1),
    channels: p.weights.n,
    groups: 1,
    x: { kind: "view", value: p.x.value, element: p.x.offset },
    pitchBytes: p.pitch,
    groupBytes: 0,
    rowKind: "plain",
    taps: 1,
    k: p.weights.k,
    rowInput: p.weights.k,
  };
  return planInteger(nest, engine, program, rows, product, p.weights, epilogue, p.x.dtype === "int8");
}

function planInteger(
  nest: LoopNest,
  engine: Engine,
  program: Planning,
  { dynamic: free = program.dynamic, ...p }: Rows,
  product: IntegerProduct,
  weights: Matrix,
  epilogue: Epilogue,
  signed: boolean,
): PlannedKernel {
  const depth = p.taps * p.k;
  const one = p.rows === 1;
  const dynamic = free && !one;
  if (hasQuads(engine) && p.groups === 1) {
    const above = product.zx + (flips(engine.dot, signed) ? (signed ? 128 : -128) : 0);
    const plain: QuadMatrix = { ...weights, taps: p.taps, zero: product.zw, above, signed };
    const quads = quadForms(plain, engine, dynamic ? 3 : p.rows).find((q) =>
      // Weights given back are used as they were packed.
      isReleased(weights.data) ? program.has?.(quadsKey(q)) : quadsPay(q),
    );
    if (quads) return planQuads(nest, engine, { ...p, dynamic }, product.zx, quads, epilogue, signed);
  }
  const asBytes = p.groups === 1 && product.zw.every((z) => z === 0) ? packBytes(weights) : null;
  // Weights given back are used as they were packed.
  const given = isReleased(weights.data);
  const there = given && asBytes && program.has?.(asBytes.key);
  if (one && p.rowKind === "plain" && asBytes && (there || !given))
    return planGemvInt8(nest.out.value, weights, asBytes, p.x, product.zx, signed, epilogue, engine);
  const each = p.channels / p.groups;
  const tile = integerTile(engine.i8, dynamic ? 3 : p.rows, each);
  const pairs = Math.ceil(depth / 2);
  const layout = gemmLayout(epilogue);
  const { words, packed } = epilogueWords(epilogue, 1, p.channels, p.groups);
  const { chunk, patches, bytes } = scratchOf(
    { ...p, rowInput: p.rowInput + 2 * depth + epilogue.outBytes * each },
    tile,
  );
  const narrow = there || (!given && !dynamic && chunk > mostPairsRows) ? asBytes : null;
  const rowWide = 4 * pairs;
  const wide = roundUp(bytes, 64);
  const tileTable = wide + roundUp(rowWide * (chunk + tile.mr) + 64, 64);
  const panel = narrow ? 2 * packedPanel(depth) : pairBytes(depth);
  const wideWeights = roundUp(tileTable + 8 * (chunk + 2 * tile.mr), 64);
  const name = `i16_${p.name}_${tile.mr}x${tile.nr}`;
  const d = integerDepth(pairs, 1, unrollOf(engine.fma));
  const spec = (channels: number): TileSpec => ({
    kind: "i16",
    fma: engine.fma,
    mr: tile.mr,
    channels,
    ...d,
    single: true,
    epilogue,
  });
  const shape = `${p.rowKind}${shortKey(p)}_${depthKey(d)}_${each < tile.nr ? 0 : 1}+${each % tile.nr}${p.groups > 1 ? "_groups" : ""}${narrow ? "_bytes" : ""}`;
  return {
    key: `${name}_${signed ? "s8" : "u8"}_${shape}_${engine.fma}_${epilogue.key}`,
    label: name,
    emit: (m) => {
      const prepare = { fn: widenRows(m, layout, tile.mr, signed, p), tableWord: "tileTable" };
      const groups = p.groups > 1;
      const widen = narrow ? widenWeights(m) : undefined;
      const { rowKind } = p;
      return emitGemm(m, { layout, rowKind, tile, each, groups, spec, prepare, widen, fill: fillByte });
    },
    extent: p.rows,
    grain: chunk,
    unit: tile.mr,
    args: layout.words({
      x: p.x,
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      scratch: { kind: "scratch" },
      // Outside the image lie zero points.
      zero: { kind: "packed", index: 1 + packed.length },
      steps: Math.floor(pairs / d.unroll),
      taps: 1,
      panelBytes: panel,
      panels: Math.floor(each / tile.nr),
      chunk,
      ...windowArgs(p, patches),
      groups: p.groups,
      groupBytes: p.groupBytes,
      rowTaps: p.taps,
      tapK: p.k,
      zeroPoint: product.zx,
      fill: product.zx & 255,
      rowWide,
      wide,
      tileTable,
      packedPanel: packedPanel(depth),
      wideWeights,
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, words[i] as ArgWord])),
    }),
    packed: [narrow ?? packPairs(weights, product.zw, p.groups), ...packed, filled(product.zx, p.k + 64, 1)],
    scratchBytes: wideWeights + (narrow ? (panel * tile.nr) / 8 : 0),
  };
}

/** Short loops are unrolled whole: what ends them costs as much as some steps. */
const integerDepth = (steps: number, taps: number, unroll: number): Depth =>
  unroll > 1 && steps <= wholeSteps ? { unroll, blocks: false, rest: steps } : depthOf(steps, taps, unroll);

/** How 8-bit products might have their weights, the fastest first. */
function quadForms(plain: QuadMatrix, { i8, dot }: QuadEngine, rows: number): QuadMatrix[] {
  if (isWhole(dot)) return [{ ...plain, least: leastWeight[dot] }];
  const joins = integerTile(i8, rows, plain.n, true).mr > 2;
  const ordered = { ...plain, ordered: orderedTile(i8, rows, plain.n, plain.k).nr };
  const orders = canOrder(plain) && plain.k >= leastOrdered && 4 * quadsOf(ordered) <= mostPadded * plain.k;
  return [...(joins ? [{ ...plain, joined: true }] : []), plain, ...(orders ? [ordered] : [])];
}

/** Bytes straight from the image (quad_code.ts), or brought into the weights' order (quad_rows.ts). */
function planQuads(
  nest: LoopNest,
  engine: QuadEngine,
  p: Rows,
  zx: number,
  weights: QuadMatrix,
  epilogue: Epilogue,
  signed: boolean,
): PlannedKernel {
  const { fma, dot } = engine;
  const ordered = weights.ordered !== undefined;
  const rows = p.dynamic ? 3 : p.rows;
  const tile = ordered
    ? orderedTile(engine.i8, rows, p.channels, weights.k)
    : integerTile(engine.i8, rows, p.channels, true);
  const how = ordered ? "_ordered" : weights.joined ? "_joined" : isWhole(dot) ? `_${dot}` : "";
  const quads = quadsOf(weights) / p.taps;
  const d = integerDepth(quads, p.taps, ordered ? 4 : unrollOf(fma));
  const layout = gemmLayout(epilogue);
  const { words, packed } = epilogueWords(epilogue, 1, p.channels);
  const written = epilogue.outBytes * p.channels;
  const { chunk, patches, bytes } = scratchOf({ ...p, rowInput: p.rowInput + written }, tile);
  const kind = signed ? "s8" : "u8";
  const name = `${kind}_${p.name}_${tile.mr}x${tile.nr}`;
  const [each, { rowKind }] = [p.channels, p];
  const single = p.taps === 1;
  const wide = roundUp(bytes, 64);
  const panelBytes = quadPanelBytes(weights);
  const ahead = streamsFor(p.dynamic ? 0 : p.rows, (panelBytes * each) / 8, (panelBytes * tile.nr) / 8);
  const spec = (channels: number): TileSpec => ({
    kind,
    fma,
    mr: tile.mr,
    channels,
    ...d,
    single,
    epilogue,
    quads: (f, panels) => new QuadCode(f, dot, flips(dot, signed) && !ordered, panels),
    dot: isWhole(dot) ? dot : undefined,
    ordered: ordered ? orderedCode : undefined,
    joined: weights.joined,
    ahead,
  });
  return {
    key: `${name}_${rowKind}${single ? "_1" : ""}${ahead ? `_${ahead}` : ""}${how}_${depthKey(d)}_${each < tile.nr ? 0 : 1}+${each % tile.nr}_${fma}_${epilogue.key}`,
    label: `${name}${how}`,
    emit: (m) => emitGemm(m, { layout, rowKind, tile, each, groups: false, spec, fill: fillByte }),
    extent: p.rows,
    grain: chunk,
    unit: tile.mr,
    args: layout.words({
      x: p.x,
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      scratch: { kind: "scratch" },
      // Outside the image lie zero points.
      zero: { kind: "packed", index: 1 + packed.length },
      fill: zx & 255,
      steps: Math.floor(quads / d.unroll),
      taps: p.taps,
      panelBytes,
      panels: Math.floor(each / tile.nr),
      chunk,
      ...windowArgs(p, patches),
      rowTaps: p.taps,
      tapK: p.k,
      wide,
      orders: { kind: "packed", index: 0, at: ordersAt(weights) },
      orderBytes: orderBytes(weights) / tile.nr,
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, words[i] as ArgWord])),
    }),
    packed: [packQuads(weights), ...packed, filled(zx, p.k + 64, 1)],
    scratchBytes: wide + (ordered ? 4 * tile.mr * p.taps * roundUp(quads, 4) : 0),
  };
}
