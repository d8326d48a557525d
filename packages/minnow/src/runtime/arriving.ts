// A model's bytes while they come. What reads them may wait for the first few, for all, or take the rest piece by
// piece: weights go where kernels want them, and the file is never held beside them.
import { ModelError } from "../error.js";
import { growable, isMinnow, shrinkable } from "../graph/released.js";
import type { Progress } from "./types.js";

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Where the bytes come from. */
export interface Pieces {
  /** How many there will be; 0: not known. Only a promise of the sender. */
  readonly total: number;
  /** Pieces are good until the next one only. */
  readonly reuses: boolean;
  /** undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** Lets the source go; at any time, any number of times. */
  close(): void;
  /** Looks at the whole. @throws ModelError */
  check?(bytes: Uint8Array): void;
}

/** Bytes from byte `at` of the file on; good during the call. */
export type Sink = (piece: Uint8Array, at: number) => void;

export class Arriving {
  readonly #received: Received;
  #ended = false;
  #reserved = 0;

  /** @param explain makes a ModelError of what the source throws */
  constructor(
    private readonly pieces: Pieces,
    private readonly options: ReadOptions,
    private readonly explain: (cause: unknown) => ModelError,
  ) {
    this.#received = new Received(pieces.total, pieces.reuses);
  }

  /**
   * Waits for `n` bytes, or the end; what is there. After reserve(), zeros stand where bytes are still to come.
   * @throws ModelError io, aborted; after reserve(), bad_file if they end before
   */
  async upTo(n: number): Promise<Uint8Array> {
    await this.#fill(n);
    return this.#received.view();
  }

  /** Waits for all, and lets the source go. */
  async all(): Promise<Uint8Array> {
    await this.#fill(Number.POSITIVE_INFINITY);
    const bytes = this.#received.bytes();
    this.pieces.check?.(bytes);
    return bytes;
  }

  /** Makes one buffer of `size` bytes, whose end can be given back: false if there is no room. */
  reserve(size: number): boolean {
    if (!this.#received.reserve(size)) return false;
    this.#reserved = size;
    return true;
  }

  /**
   * Gives the bytes [from, to) to `sink`, in order and kept nowhere; what is there already first.
   * @throws ModelError bad_file if they end before; as upTo
   */
  async pour(from: number, to: number, sink: Sink): Promise<void> {
    let at = this.#received.loaded;
    if (at > from) sink(this.#received.view().subarray(from, Math.min(at, to)), from);
    while (at < to) {
      const piece = await this.#next(at);
      if (!piece) throw cutOff(at, to);
      sink(piece, at);
      at += piece.length;
    }
    this.#end(at);
  }

  /** Lets the source go. */
  close(): void {
    this.pieces.close();
  }

  async #fill(n: number): Promise<void> {
    while (this.#received.loaded < n) {
      const piece = await this.#next(this.#received.loaded);
      if (!piece && this.#received.loaded < this.#reserved)
        throw cutOff(this.#received.loaded, this.#reserved);
      if (!piece) return;
      this.#received.add(piece);
    }
  }

  async #next(at: number): Promise<Uint8Array | undefined> {
    const { signal, onProgress } = this.options;
    if (this.#ended) return undefined;
    throwIfAborted(signal);
    try {
      const piece = await this.pieces.read();
      throwIfAborted(signal);
      if (piece) onProgress?.({ phase: "read", loaded: at + piece.length, total: this.pieces.total });
      else this.#end(at);
      return piece;
    } catch (cause) {
      this.close();
      throwIfAborted(signal);
      throw this.explain(cause);
    }
  }

  #end(size: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.close();
    this.#received.end();
    this.options.onProgress?.({ phase: "read", loaded: size, total: size });
  }
}

const cutOff = (at: number, size: number): ModelError =>
  new ModelError("bad_file", `the file ends after ${at} of ${size} bytes`, {
    hint: "it has been cut off: fetch or copy it again",
  });

const maxTrusted = 2 ** 31; // a length that is believed before the bytes have come
const maxGrown = 2 ** 28; // addresses that are reserved where it is not known

/** What has come of a file: in one buffer where its length is known, or where a buffer can grow in place. */
class Received {
  loaded = 0;
  #whole: Uint8Array | undefined;
  #grows: ReturnType<typeof growable>;
  #chunks: Uint8Array[] = [];

  constructor(
    private readonly total: number,
    private readonly reuses: boolean,
  ) {}

  add(chunk: Uint8Array): void {
    if (this.loaded === 0) this.#begin(chunk);
    const end = this.loaded + chunk.length;
    const grows = this.#grows;
    if (grows && end > grows.byteLength && end <= maxGrown) grows.resize(Math.min(maxGrown, 2 * end));
    if (this.#whole && end > this.#whole.length) {
      this.#chunks.push(this.#whole.subarray(0, this.loaded));
      this.#whole = undefined;
    }
    if (this.#whole) this.#whole.set(chunk, this.loaded);
    else this.#chunks.push(this.reuses ? chunk.slice() : chunk);
    this.loaded = end;
  }

  #begin(head: Uint8Array): void {
    const { total } = this;
    if (total > 0 && total <= maxTrusted) this.#whole = bytesFor(total, head);
    else if (isMinnow(head)) {
      this.#grows = growable(maxGrown);
      if (this.#grows) this.#whole = new Uint8Array(this.#grows);
    }
  }

  reserve(size: number): boolean {
    const { total } = this;
    if (size > maxTrusted || size < this.loaded || (total > 0 && size > total)) return false;
    if (!this.#grows && this.#whole && this.#whole.length >= size) return true;
    try {
      const whole = shrinkable(size);
      whole.set(this.bytes());
      this.#whole = whole;
    } catch {
      return false;
    }
    this.#chunks = [];
    this.#grows = undefined;
    return true;
  }

  /** Longer than `loaded` where the length is known. */
  view(): Uint8Array {
    return this.#whole && !this.#grows ? new Uint8Array(this.#whole.buffer) : this.bytes();
  }

  bytes(): Uint8Array {
    const { loaded } = this;
    if (this.#whole) return new Uint8Array(this.#whole.buffer, 0, loaded);
    const out = bytesFor(loaded, this.#chunks[0]);
    let at = 0;
    for (const c of this.#chunks) {
      out.set(c, at);
      at += c.length;
    }
    return out;
  }

  /** All has come: what was held for more goes back. */
  end(): void {
    this.#grows?.resize(this.loaded);
  }
}

/** Weights of .minnow files can be given back while they are packed; other readers want plain buffers. */
const bytesFor = (n: number, head?: Uint8Array): Uint8Array =>
  head && isMinnow(head) ? shrinkable(n) : new Uint8Array(n);

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ModelError("aborted", "the call was aborted", { cause: signal.reason });
}
