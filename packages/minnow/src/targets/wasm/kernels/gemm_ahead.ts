// Reads lines of the weights to come while a tile works: WebAssembly has no prefetch. A load has to retire, so one that
// waits for memory holds up the sums behind it; the processor's own prefetch, which a few lines in a row start, ends
// with each page. So four streams, a page apart at least, are read in turns: where one comes to a new page, the others
// are on their way. ResNet v2 50's 7×7 512→512 (Zen 4, 256 bits, 17 MB of weights a layer): one stream 2.4 ms, four
// 1.85, eight of half a page 4.5.
import type { FunctionBuilder, Local } from "../assembler.js";
import { isStreamed } from "./tiles.js";

const [line, page] = [64, 4096];
const block = 4 * page;

/** Where the streams lie: in pages of a block that holds several panels, or in quarters of the next panel. */
export type Streams = "pages" | "quarters";

/**
 * The streams of a product that waits for its weights; undefined: it does not.
 * @param rows 0: any
 * @param each bytes of a tile's panels
 */
export const streamsFor = (rows: number, weightBytes: number, each: number): Streams | undefined =>
  isStreamed(rows, weightBytes) ? streamsOf(each) : undefined;

/** @param bytes of a tile's panels */
export const streamsOf = (bytes: number): Streams => (bytes < block ? "pages" : "quarters");

/** Reads as many bytes as a tile's panels have. */
export interface Ahead {
  /** Behind the weights there may be no memory: then these are read again. */
  start(weights: Local, panelBytes: Local, panels: number): void;
  /** One line. */
  read(): void;
}

export const aheadOf = (f: FunctionBuilder, streams: Streams): Ahead =>
  streams === "pages" ? new Pages(f) : new Quarters(f);

/** Replaces `at`, bytes behind `weights`, by its address, or by `weights` where memory ends before `size` bytes more. */
function within(f: FunctionBuilder, at: Local, weights: Local, size: () => void): void {
  f.get(at).get(weights).op("i32.add").tee(at).get(weights).get(at);
  size();
  f.op("i32.add").i32(16).op("i32.shr_u");
  f.code.byte(0x3f).byte(0); // memory.size
  f.op("i32.lt_u", "select").set(at);
}

class Quarters implements Ahead {
  /** The line to read, where the last stream ends, bytes from one stream to the next, and back to the first. */
  readonly #at: Local;
  readonly #end: Local;
  readonly #by: Local;
  readonly #back: Local;

  constructor(private readonly f: FunctionBuilder) {
    [this.#at, this.#end, this.#by, this.#back] = f.someLocals(4, "i32");
  }

  start(weights: Local, panelBytes: Local, panels: number): void {
    const { f } = this;
    const [at, end, by, back] = [this.#at, this.#end, this.#by, this.#back];
    f.get(panelBytes).i32(panels).op("i32.mul").tee(at).i32(2).op("i32.shr_u").set(by);
    f.get(by).i32(2).op("i32.shl").set(end);
    within(f, at, weights, () => f.get(end));
    f.get(end).i32(line).op("i32.sub").set(back).get(end).get(at).op("i32.add").set(end);
  }

  read(): void {
    const { f } = this;
    const [at, end, by, back] = [this.#at, this.#end, this.#by, this.#back];
    f.get(at).load().op("drop").get(at).get(by).op("i32.add").tee(at);
    f.get(back).i32(0).get(at).get(end).op("i32.ge_u", "select", "i32.sub").set(at);
  }
}

class Pages implements Ahead {
  /** As if lines were read in order: the next one, and the last one of this call's share, which is read again and again. */
  readonly #next: Local;
  readonly #last: Local;

  constructor(private readonly f: FunctionBuilder) {
    [this.#next, this.#last] = f.someLocals(2, "i32");
  }

  start(weights: Local, panelBytes: Local, panels: number): void {
    const { f } = this;
    const [next, last] = [this.#next, this.#last];
    f.i32(block).set(next);
    within(f, next, weights, () => f.i32(3 * block));
    f.get(panelBytes).i32(panels).op("i32.mul").i32(line).op("i32.sub").get(next).op("i32.add").set(last);
  }

  /** Four lines in order are one in each page of the block. */
  read(): void {
    const { f } = this;
    const [next, last] = [this.#next, this.#last];
    const [turn, lines] = [4 * line, block / line / 4];
    f.get(next).i32(-block).op("i32.and").get(next);
    f.i32(turn - line)
      .op("i32.and")
      .i32(page / line)
      .op("i32.mul", "i32.add")
      .get(next);
    f.i32(turn * (lines - 1))
      .op("i32.and")
      .i32(2)
      .op("i32.shr_u", "i32.add")
      .load()
      .op("drop");
    f.get(next).get(next).get(last).op("i32.lt_u").i32(6).op("i32.shl", "i32.add").set(next);
  }
}
