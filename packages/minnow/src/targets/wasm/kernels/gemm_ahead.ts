// Reads the lines of the next panel while a tile works on this one: WebAssembly has no prefetch. A load has to retire, so
// one that waits for memory holds up the sums behind it; the processor's own prefetch, which a few lines in a row
// start, ends with each page. So four streams, each a quarter of the panel and a page at least, are read in turns: where
// one comes to a new page, the others are on their way. ResNet v2 50's 7×7 512→512 (Zen 4, 256 bits, 17 MB of weights
// a layer): one stream 2.4 ms, four 1.85, eight of half a page 4.5.
import type { FunctionBuilder, Local } from "../assembler.js";

const [line, page] = [64, 4096];

export class Ahead {
  /** The line to read, where the last stream ends, bytes from one stream to the next, and back to the first. */
  readonly #at: Local;
  readonly #end: Local;
  readonly #by: Local;
  readonly #back: Local;

  constructor(private readonly f: FunctionBuilder) {
    [this.#at, this.#end, this.#by, this.#back] = f.someLocals(4, "i32");
  }

  /** Behind the weights there may be no memory: then this panel is read again. */
  start(weights: Local, panelBytes: Local, panels: number): void {
    const { f } = this;
    const [at, end, by, back] = [this.#at, this.#end, this.#by, this.#back];
    f.get(panelBytes).i32(panels).op("i32.mul").tee(end).get(weights).op("i32.add").set(at);
    f.get(at).get(weights).get(at).get(end).op("i32.add").i32(16).op("i32.shr_u");
    f.code.byte(0x3f).byte(0); // memory.size
    f.op("i32.lt_u", "select").set(at);
    f.get(end)
      .i32(2 * page)
      .op("i32.ge_u")
      .get(end);
    f.i32(4 * page)
      .op("i32.ge_u", "i32.add")
      .set(back); // streams, a power of two
    f.get(end)
      .get(back)
      .op("i32.shr_u")
      .tee(by)
      .get(back)
      .op("i32.shl")
      .tee(back)
      .get(at)
      .op("i32.add")
      .set(end);
    f.get(back).i32(line).op("i32.sub").set(back);
  }

  /** One line. */
  read(): void {
    const { f } = this;
    const [at, end, by, back] = [this.#at, this.#end, this.#by, this.#back];
    f.get(at).load().op("drop").get(at).get(by).op("i32.add").tee(at);
    f.get(back).i32(0).get(at).get(end).op("i32.ge_u", "select", "i32.sub").set(at);
  }
}
