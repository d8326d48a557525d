// Matrix products of two computed tensors in float32 (attention): for each batch and chunk of rows, each
// panel of b is packed into the scratch as weights would be, then the convolution tile runs over it. The
// packed panel stays in the first-level cache; packing costs about 8/rows of the product.
import type { LoopNest } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, ModuleBuilder } from "../assembler.js";
import type { Engine, Tile } from "../engine.js";
import type { ArgWord, PlannedKernel, TunedKernel } from "../kernel.js";
import type { Layout } from "./arguments.js";
import { epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { depthOf, gemmLayout, scratchOf } from "./gemm.js";
import { gemmTile, sumsBytes, type TileSpec } from "./gemm_tile.js";
import { planMatvec } from "./matvec.js";
import { type Buffers, joined, roundUp, walkOf } from "./operands.js";
import { isFloatProduct } from "./products.js";
import { rowTable } from "./rows.js";

export const matmul: TunedKernel = { kernels: ["matmul", "dense"], plan: planMatmul };

export interface Sides {
  readonly a: ArgWord;
  readonly b: ArgWord;
  /** In bytes. */
  readonly pitch: number;
  readonly aBatch: number;
  readonly bBatch: number;
  readonly bRow: number;
  readonly bColumn: number;
}

function planMatmul(step: Step, engine: Engine, program: Buffers): PlannedKernel | null {
  const nest = step.nest;
  if (!nest || [...nest.loops, ...nest.reduce].some((n) => n === 0) || !isFloatProduct(step, nest))
    return null;
  const sides = sidesOf(step, nest);
  const epilogue = epilogueOf(step, nest, program);
  if (!sides || !epilogue) return null;
  const rank = nest.loops.length;
  const [m, n] = [nest.loops[rank - 2] as number, nest.loops[rank - 1] as number];
  const k = nest.reduce.reduce((x, y) => x * y, 1);
  const tile = engine.f32;
  const rows = nest.loops.slice(0, -1).reduce((x, y) => x * y, 1);
  const row = m === 1 ? planMatvec(step, nest, sides, epilogue, engine, rows) : null;
  if (row) return row;
  const scratch = scratchOf({ rows: m, taps: 1, rowInput: 4 * k, rowKind: "plain", pitchBytes: 4 * k }, tile);
  const layout = gemmLayout(epilogue);
  const { words: extra, packed } = epilogueWords(epilogue, 0, n);
  const panelAt = roundUp(scratch.bytes, 64);
  const name = `f32_matmul_${tile.mr}x${tile.nr}_${engine.fma ? "fma" : "muladd"}`;
  const along = sides.bColumn === 4 ? "n" : "k";
  // All of m, n and k may change with the shape (attention over a line of text): nothing of them is code.
  const depth = depthOf(k, 1, 1);
  const spec = (channels: number): TileSpec => ({
    kind: "f32",
    fma: engine.fma,
    mr: tile.mr,
    channels,
    ...depth,
    epilogue,
  });
  return {
    key: `${name}_${along}_${epilogue.key}`,
    label: name,
    emit: (module) => emitMatmul(module, layout, tile, spec, along),
    extent: rows,
    grain: Math.max(scratch.chunk, m * Math.ceil(50000 / (m * n * k))),
    args: layout.words({
      x: sides.a,
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      scratch: { kind: "scratch" },
      zero: { kind: "zero" },
      steps: Math.floor(k / depth.unroll),
      taps: 1,
      panelBytes: 32 * k,
      panels: Math.floor(n / tile.nr),
      chunk: scratch.chunk,
      xPitch: sides.pitch,
      b: sides.b,
      bRow: sides.bRow,
      bColumn: sides.bColumn,
      aBatch: sides.aBatch - m * sides.pitch,
      bBatch: sides.bBatch,
      m,
      k,
      panelAt,
      sums: panelAt + 64 * k + 64,
      lastPanel: n % tile.nr,
      ...Object.fromEntries(epilogueNames(epilogue).map((x, i) => [x, extra[i] as ArgWord])),
    }),
    packed,
    scratchBytes: panelAt + 64 * k + 64 + sumsBytes,
  };
}

/** a dense along k, batches at one stride each; b dense along n or k. */
function sidesOf(step: Step, nest: LoopNest): Sides | null {
  const rank = nest.loops.length;
  const extents = [...nest.loops, ...nest.reduce];
  const a = walkOf(step, nest, 0);
  const b = walkOf(step, nest, 1);
  if (!a || !b || a.guarded || b.guarded || rank < 2 || b.dtype !== "float32") return null;
  const along = (w: typeof a): number | null => joined(w.strides, extents, rank, extents.length);
  const batches = (w: typeof a): number | null => joined(w.strides, extents, 0, rank - 2);
  const [aK, bK, aBatch, bBatch] = [along(a), along(b), batches(a), batches(b)];
  if (aK === null || bK === null || aBatch === null || bBatch === null) return null;
  const k = nest.reduce.reduce((x, y) => x * y, 1);
  const [aRow, aColumn] = [a.strides[rank - 2] as number, a.strides[rank - 1] as number];
  const [bAlongM, bColumn] = [b.strides[rank - 2] as number, b.strides[rank - 1] as number];
  const one = (stride: number, extent: number): boolean => stride === 1 || extent === 1;
  const n = nest.loops[rank - 1] as number;
  if (!one(aK, k) || (n > 1 && aColumn !== 0) || ((nest.loops[rank - 2] as number) > 1 && bAlongM !== 0))
    return null;
  return {
    a: { kind: "view", value: a.value, element: a.offset },
    b: { kind: "view", value: b.value, element: b.offset },
    pitch: 4 * aRow,
    aBatch: 4 * aBatch,
    bBatch: 4 * bBatch,
    bRow: 4 * bK,
    bColumn: n === 1 ? 4 : 4 * bColumn,
  };
}

function emitMatmul(
  module: ModuleBuilder,
  layout: Layout<string>,
  tile: Tile,
  spec: (channels: number) => TileSpec,
  along: "n" | "k",
): number {
  const fill = rowTable(module, "plain", tile.mr, layout);
  const pack = packPanel(module, layout, along);
  const whole = gemmTile(module, spec(tile.nr), layout);
  const narrow = Array.from({ length: tile.nr - 1 }, (_, i) => gemmTile(module, spec(i + 1), layout));
  return module.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
    const [rows, batch, b, start, count] = f.someLocals(5, "i32");
    const panel = layout.local(f, args, "scratch");
    arg("panelAt").get(panel).op("i32.add").set(panel);
    const least = (push: () => void): void => {
      push();
      f.get(rows);
      push();
      f.get(rows).op("i32.lt_u", "select").set(rows);
    };
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin);
    arg("m").op("i32.div_u").set(batch);
    // The chunk ends with the share and with the batch.
    arg("chunk").set(rows);
    least(() => void f.get(end).get(begin).op("i32.sub"));
    least(() => {
      arg("m").get(begin);
      arg("m").op("i32.rem_u", "i32.sub");
    });
    f.get(args).get(begin).get(rows).get(batch);
    arg("aBatch").op("i32.mul").call(fill);
    arg("b").get(batch);
    arg("bBatch").op("i32.mul", "i32.add").set(b);
    f.i32(0).set(start);
    const run = (fn: number, channels: number): void => {
      for (let c = 0; c < channels; c += 8) {
        f.get(args).get(b).get(start);
        if (c) f.i32(c).op("i32.add");
        arg("bColumn").op("i32.mul", "i32.add").get(panel);
        if (c) arg("panelBytes").op("i32.add");
        f.i32(Math.min(8, channels - c)).call(pack);
      }
      f.get(args);
      arg("scratch").get(rows).get(panel).get(start).get(start).call(fn);
      f.inc(start, channels);
    };
    arg("panels").tee(count).if();
    f.repeat(count, () => run(whole, tile.nr)).end();
    arg("lastPanel").set(count);
    narrow.forEach((fn, i) => {
      f.get(count)
        .i32(i + 1)
        .op("i32.eq")
        .if();
      run(fn, i + 1);
      f.end();
    });
    f.incBy(begin, rows).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

/** (args, from, to, lanes): up to 8 columns of b as [k][8]; lanes beyond are left as they are. */
function packPanel(module: ModuleBuilder, layout: Layout<string>, along: "n" | "k"): number {
  return module.once(`pack_${along}`, () =>
    module.func(["i32", "i32", "i32", "i32"], [], (f) => {
      const [args, from, to, lanes] = [0, 1, 2, 3];
      const row = layout.local(f, args, "bRow");
      const k = layout.local(f, args, "k");
      if (along === "n") {
        // Reads past the last column; those lanes are not stored by the tile.
        f.repeat(k, () => {
          f.get(to).get(from).vload().vstore().get(to).get(from).vload(16).vstore(16);
          f.incBy(from, row).inc(to, 32);
        });
        return;
      }
      const [p, q, n] = f.someLocals(3, "i32");
      f.repeat(lanes, () => {
        f.get(from).set(p).get(to).set(q).get(k).set(n);
        f.repeat(n, () => {
          f.get(q).get(p).load().store().incBy(p, row).inc(q, 32);
        });
        layout.push(f, args, "bColumn").get(from).op("i32.add").set(from);
        f.inc(to, 4);
      });
    }),
  );
}
