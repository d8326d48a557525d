// Filters into the points of Winograd's transform, U = G g Gᵀ: [slice of 64 channels][point][panel of 8] (pack.ts), in
// the order in which products read them, by generated code. Four input channels at a time stay in registers; all eight
// channels of a panel are written before the next four inputs, so that the panel's lines of all points are in the
// first-level cache.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import { hoistConstants, loadVectors } from "../elements.js";
import type { Packed } from "../kernel.js";
import { dataId, roundUp } from "./operands.js";
import type { Matrix } from "./pack.js";
import type { Source } from "./pack_code.js";
import { type Form, pointsOf, stageChannels } from "./winograd_cost.js";
import { linear, LinearCode } from "./winograd_linear.js";
import { least } from "./winograd_tiles.js";

/** Panels of a slice; the last one may have fewer. */
const slicePanels = stageChannels / 8;

/** @param m weights as [n][kh·kw·C], C ≥ 4; a unit of the packing is a panel */
export function packWinograd(m: Matrix, form: Form, points: number): Packed {
  const { r } = form.toom;
  const c = m.k / (form.twoD ? r * r : r);
  const size = m.dtype === "float16" ? 2 : 4;
  const row = m.k * size;
  const type = m.dtype as Source;
  return {
    key: `winograd:${form.name}:${dataId(m.data)}:${m.offset}:${m.n}x${m.k}`,
    bytes: 4 * points * roundUp(m.n, 8) * c,
    pack: {
      source: m.data,
      key: `pack_winograd_${form.name}_${type}`,
      emit: (b) => emitPack(b, form, type),
      extent: Math.ceil(m.n / 8),
      begins: (panel) => m.offset * size + Math.min(m.n, 8 * panel) * row,
      words: (at) => [at, m.n, c, row, c * size],
    },
  };
}

const words = ["source", "to", "channels", "c", "row", "tap"] as const;

function emitPack(m: ModuleBuilder, form: Form, type: Source): number {
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [unit, last] = [1, 2];
    const a = Object.fromEntries(
      words.map((name, i) => {
        const l = f.local();
        f.get(0)
          .load(4 * i)
          .set(l);
        return [name, l];
      }),
    ) as Record<(typeof words)[number], Local>;
    const plane = f.local();
    const filter = new Filter(f, form, type, a.tap, plane);
    const lanes = f.local();
    const lane = f.local();
    const [i, from, to, slice, panel] = f.someLocals(5, "i32");
    const points = pointsOf(form);
    const size = type === "float16" ? 2 : 4;
    f.block().get(unit).get(last).op("i32.ge_u").brIf(0).loop();
    // Lanes of this panel, where it begins.
    f.get(a.channels).get(unit).i32(8).op("i32.mul", "i32.sub").tee(lanes).i32(8).get(lanes).i32(8);
    f.op("i32.lt_s", "select").set(lanes);
    // The slice's panels, bytes of its points; where this panel begins.
    f.get(unit).i32(-slicePanels).op("i32.and").set(slice);
    least(
      f,
      plane,
      () => f.get(a.channels).i32(7).op("i32.add").i32(3).op("i32.shr_u").get(slice).op("i32.sub"),
      () => f.i32(slicePanels),
    );
    const panelsToBytes = (): FunctionBuilder => f.get(a.c).i32(32).op("i32.mul", "i32.mul");
    f.get(plane);
    panelsToBytes().set(plane).get(slice);
    f.i32(points - 1)
      .op("i32.mul")
      .get(unit)
      .op("i32.add");
    panelsToBytes().get(a.to).op("i32.add").set(panel);
    f.i32(0).set(i).loop();
    // The last four inputs may overlap those before.
    f.get(i).get(a.c).i32(4).op("i32.sub").get(i).get(a.c).i32(4).op("i32.sub", "i32.lt_s", "select").set(i);
    f.get(a.source).get(i).i32(size).op("i32.mul", "i32.add").set(from);
    f.get(i).i32(32).op("i32.mul").get(panel).op("i32.add").set(to).get(lanes).set(lane);
    f.repeat(lane, () => {
      filter.emit(from, to);
      f.incBy(from, a.row).inc(to, 4);
    });
    f.inc(i, 4).get(i).get(a.c).op("i32.lt_s").brIf(0).end();
    f.get(lanes).get(a.row).op("i32.mul").get(a.source).op("i32.add").set(a.source);
    f.inc(unit, 1).get(unit).get(last).op("i32.lt_u").brIf(0).end().end();
  });
}

/** One output channel's taps at four inputs → the points. */
class Filter {
  readonly #linear: LinearCode;
  readonly #taps: Local[];
  readonly #between: Local[][];
  readonly #value: Local;
  readonly #p: Local;
  readonly #q: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly form: Form,
    private readonly type: Source,
    private readonly tap: Local,
    private readonly plane: Local,
  ) {
    const { n, r, g } = form.toom;
    this.#linear = new LinearCode(f, linear(g), 1, false);
    this.#taps = f.someLocals(r, "v128");
    this.#between = form.twoD ? Array.from({ length: n }, () => f.someLocals(r, "v128")) : [];
    this.#value = f.local("v128");
    this.#p = f.local();
    this.#q = f.local();
    hoistConstants(f, [type], "float32", true);
  }

  emit(from: Local, to: Local): void {
    const { f, form } = this;
    const { r } = form.toom;
    f.get(to).set(this.#q).get(from).set(this.#p);
    if (!form.twoD) {
      this.#load(1);
      return this.#points(this.#taps);
    }
    for (let x = 0; x < r; x++) {
      this.#load(r);
      this.#linear.emit(
        this.#taps.map((t) => [t]),
        (y, push) => {
          push(0);
          f.set(this.#between[y]?.[x] as Local);
        },
      );
      f.get(from);
      for (let k = 0; k <= x; k++) f.get(this.tap).op("i32.add");
      f.set(this.#p);
    }
    for (const line of this.#between) this.#points(line);
  }

  /** Every `step`-th tap from p on. */
  #load(step: number): void {
    const { f } = this;
    for (const t of this.#taps) {
      loadVectors(f, this.type, this.#p, [t]);
      f.get(this.#p).get(this.tap).i32(step).op("i32.mul", "i32.add").set(this.#p);
    }
  }

  /** Points along the last axis, each a lane of four inputs' panels. */
  #points(taps: readonly Local[]): void {
    const { f } = this;
    this.#linear.emit(
      taps.map((t) => [t]),
      (_, push) => {
        push(0);
        f.set(this.#value);
        for (let i = 0; i < 4; i++)
          f.get(this.#q)
            .get(this.#value)
            .memLane("v128.store32_lane", i, 32 * i);
        f.incBy(this.#q, this.plane);
      },
    );
  }
}
