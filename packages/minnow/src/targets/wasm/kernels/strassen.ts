// 1×1 convolution by Strassen's scheme (in Winograd's form), once: seven products of halves for eight. With rows,
// channels in and channels out cut in two each, A = (A11 A12; A21 A22) and weights B likewise:
//   S1 = A21+A22  S2 = S1−A11  S3 = A11−A21  S4 = A12−S2     (strassen_sums.ts, a block of rows at a time)
//   T1 = B12−B11  T2 = B22−T1  T3 = B22−B12  T4 = T2−B21     (strassen_pack.ts, once a model)
//   P1 = A11·B11  P5 = S1·T1   U2 = P1+S2·T2  U3 = U2+S3·T3   (strassen_tile.ts, a tile at a time)
//   C11 = P1+A12·B21  C12 = U2+P5+S4·B22  C21 = U3−A22·T4  C22 = U3+P5
// The parallel extent is blocks of rows × pairs of panels. Halves, and so the bits, follow from an image's shape alone.
// Sums of seven products are some two to three times less exact than direct ones (36×128→128 by noise: 3.9e-6 of the
// root mean square at most, direct 1.2e-6), as much as Winograd's.
import type { Step } from "../../../compiler/program.js";
import { isReleased } from "../../../graph/released.js";
import type { Engine } from "../engine.js";
import type { ArgWord, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { convGeometry, convRows } from "./conv.js";
import { epilogueNames, epilogueOf, epilogueWords, hasPitch } from "./epilogue.js";
import { isFloatProduct, weightMatrix } from "./products.js";
import { chooseHalves, type Halves, hasLowTile, heightOf } from "./strassen_cost.js";
import { packStrassen } from "./strassen_pack.js";
import { emitBlocks, scratchOf, strassenWords } from "./strassen_sums.js";
import { unrollOf } from "./tiles.js";

/** @param choose whether and how a shape is cut; the tests have a choice of their own */
export function planStrassen(
  step: Step,
  engine: Engine,
  program: Planning,
  choose: (pixels: number, k: number, channels: number) => Halves | null = chooseHalves,
): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (engine.small || program.dynamic || !g || !nest || !isFloatProduct(step, nest)) return null;
  const { rows, rowKind, channels, k, pitchBytes, x } = convRows(g, nest);
  const pixels = g.window.oh * g.window.ow;
  const halves = rowKind === "plain" ? choose(pixels, k, channels) : null;
  const weights = halves && weightMatrix(program, g.w, channels, k);
  const epilogue = weights && epilogueOf(step, nest, program, { channelLoop: 3 });
  // What else is read a pixel does not fit the second-level cache beside a block: 28×28 128→512, a sum, 10 % slower.
  if (!epilogue || epilogue.operands.some(hasPitch)) return null;
  const packed = packStrassen(weights);
  if (isReleased(weights.data) && !program.has?.(packed.key)) return null;
  const tile = { mr: heightOf(halves, pixels, engine.fma ? 6 : engine.f32.mr), nr: engine.f32.nr };
  const low = hasLowTile(halves, pixels, tile.mr);
  const unroll = unrollOf(engine.fma);
  const layout = new Layout<string>([...strassenWords, ...epilogueNames(epilogue)]);
  const { words: extra, packed: operands } = epilogueWords(epilogue, 1, channels);
  const name = `f32_strassen_${tile.mr}x${tile.nr}_${engine.fma ? "fma" : "muladd"}`;
  const pairs = channels / 2 / tile.nr;
  const scratch = scratchOf(halves, k, tile);
  return {
    key: `${name}${low ? "_low" : ""}_${epilogue.key}`,
    label: `${name}${step.fused.length ? `_${step.fused.join("_").toLowerCase()}` : ""}`,
    emit: (m) => emitBlocks(m, { layout, tile, low, fma: engine.fma, unroll, epilogue }),
    extent: (rows / pixels) * halves.blocks * pairs,
    grain: pairs,
    unit: 1,
    args: layout.words({
      x,
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      scratch: { kind: "scratch" },
      xPitch: pitchBytes,
      pixels,
      blocks: halves.blocks,
      half: halves.rows,
      pairs,
      steps: k / 2 / unroll,
      halfBytes: 2 * k,
      panelBytes: 16 * k,
      ...scratch.args,
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, extra[i] as ArgWord])),
    }),
    packed: [packed, ...operands],
    scratchBytes: scratch.bytes,
  };
}

export const strassen: TunedKernel = {
  kernels: ["conv2d"],
  plan: (step, engine, program) => planStrassen(step, engine, program),
};
