// Words of a row table that rise at a fixed step, four written at a time.
import type { FunctionBuilder, Local } from "../assembler.js";

/** A tile's words at a fixed step: base, base + step, …, four at a time: below mr = 4 into what is written next. */
export class Ramp {
  readonly #lanes: Local[];

  /** @param step pushes the step */
  constructor(
    private readonly f: FunctionBuilder,
    private readonly mr: number,
    step: () => FunctionBuilder,
  ) {
    // The last four overlap the first where mr is no multiple of four.
    this.#lanes = (mr > 4 ? [0, mr - 4] : [0]).map((first) => {
      const l = f.local("v128");
      step()
        .op("i32x4.splat")
        .i32x4(first, first + 1, first + 2, first + 3)
        .op("i32x4.mul")
        .set(l);
      return l;
    });
  }
  store(to: Local, offset: number, base: Local): void {
    const { f } = this;
    this.#lanes.forEach((l, i) => {
      f.get(to)
        .get(base)
        .op("i32x4.splat")
        .get(l)
        .op("i32x4.add")
        .vstore(offset + (i ? 4 * (this.mr - 4) : 0));
    });
  }
}
