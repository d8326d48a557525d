// Places blocks in one linear memory: first fit among freed blocks, else at the top. Addresses are
// decided before the memory is grown, so that it grows once a bind, to what the plan needs.

const align = (n: number, a: number): number => Math.ceil(n / a) * a;
/** Kernels may read (not write) this many bytes beyond a block. */
const slack = 256;
const page = 65536;

export class Heap {
  #top: number;
  readonly #used = new Map<number, number>(); // address → bytes
  #free: { at: number; bytes: number }[] = [];

  /** @param reserved bytes at address 0 that are never handed out */
  constructor(reserved: number) {
    this.#top = align(reserved, 64);
  }

  allocate(bytes: number): number {
    const size = align(Math.max(bytes, 1), 64);
    const i = this.#free.findIndex((f) => f.bytes >= size);
    const gap = this.#free[i];
    let at: number;
    if (gap) {
      at = gap.at;
      if (gap.bytes === size) this.#free.splice(i, 1);
      else this.#free[i] = { at: at + size, bytes: gap.bytes - size };
    } else {
      const last = this.#free[this.#free.length - 1];
      // A free block at the very end is extended rather than stepped over.
      if (last && last.at + last.bytes === this.#top) {
        this.#free.pop();
        this.#top = last.at;
      }
      at = this.#top;
      this.#top += size;
    }
    this.#used.set(at, size);
    return at;
  }

  release(at: number): void {
    const bytes = this.#used.get(at);
    if (bytes === undefined) return;
    this.#used.delete(at);
    this.#free.push({ at, bytes });
    this.#free.sort((a, b) => a.at - b.at);
    const merged: { at: number; bytes: number }[] = [];
    for (const f of this.#free) {
      const last = merged[merged.length - 1];
      if (last && last.at + last.bytes === f.at) last.bytes += f.bytes;
      else merged.push({ ...f });
    }
    this.#free = merged;
  }

  /** Bytes that the memory must have. */
  get bytes(): number {
    return align(this.#top + slack, page);
  }
}
