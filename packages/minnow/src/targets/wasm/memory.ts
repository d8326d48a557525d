// A model's linear memory: constants shared by its bound programs, and regions that these use in turn.
// Addresses are decided first; then the memory grows, once a bind.
import type { Program, View } from "../../compiler/program.js";
import { ModelError } from "../../error.js";
import { count } from "../../graph/dim.js";
import { byteSize, type TypedArray } from "../../graph/dtype.js";
import { moduleImports } from "./imports.js";
import type { MemoryUse, Shared } from "./bound.js";
import type { Crew } from "./crew.js";
import { Heap } from "./heap.js";
import { arrayOver, rawKey } from "./views.js";

/** The error word lies at the start; address 0 is never handed out. */
const reserved = 64;

export class ModelMemory {
  /** Constants as stored and packed weights, by key. */
  readonly shared = new Map<string, Shared>();
  readonly regions = {
    arena: { at: 0, bytes: 0 },
    scratch: { at: 0, bytes: 0 },
    zeros: { at: 0, bytes: 0 },
  };
  /** Rises whenever an address changes that argument blocks hold. */
  version = 0;
  readonly #reserved: number;
  #heap: Heap;
  /** The memory and this thread's scratch address; null once disposed. */
  #imports: ReturnType<typeof moduleImports> | null;

  constructor(private readonly crew: Crew | undefined) {
    this.#reserved = crew?.reserved ?? reserved;
    this.#heap = new Heap(this.#reserved);
    this.#imports = moduleImports(crew?.memory ?? new WebAssembly.Memory({ initial: 1 }));
  }

  /** @throws ModelError disposed */
  get imports(): ReturnType<typeof moduleImports> {
    if (!this.#imports) throw new ModelError("disposed", "the model was disposed");
    return this.#imports;
  }
  get buffer(): ArrayBuffer {
    return this.imports.env.memory.buffer;
  }
  get u8(): Uint8Array {
    return new Uint8Array(this.buffer);
  }

  allocate(bytes: number): number {
    return this.#heap.allocate(bytes);
  }

  release(at: number): void {
    this.#heap.release(at);
  }

  /** Makes a region large enough. */
  region(name: "arena" | "scratch" | "zeros", bytes: number): void {
    const r = this.regions[name];
    if (r.bytes >= bytes) return;
    if (r.bytes) this.release(r.at);
    r.at = this.allocate(bytes);
    r.bytes = bytes;
    this.version++;
  }

  /** @throws ModelError out_of_memory */
  grow(): void {
    // Kernels read whole vectors: up to 15 bytes behind a view (row_edge.ts).
    const pages = Math.ceil((this.#heap.bytes + 16) / 65536);
    const { memory, scratch } = this.imports.env;
    const { scratch: threads, zeros } = this.regions;
    scratch.value = threads.at;
    this.crew?.scratch(threads.at, threads.bytes / this.crew.size);
    const have = memory.buffer.byteLength / 65536;
    if (pages > have) {
      try {
        memory.grow(pages - have);
      } catch (cause) {
        throw new ModelError("out_of_memory", `the engine gives no ${pages * 64} KiB of memory`, { cause });
      }
      this.version++;
    }
    // Zeros may lie where something else was: once a bind is cheap.
    this.u8.fill(0, zeros.at, zeros.at + zeros.bytes);
  }

  address(program: Program, v: View): number {
    const b = program.buffers[v.buffer];
    if (!b) throw new ModelError("internal", `no buffer ${v.buffer}`);
    const base = b.data ? (this.shared.get(rawKey(b.data))?.at as number) : this.regions.arena.at + b.offset;
    return base + v.offset * byteSize(v.dtype, 1);
  }

  array(program: Program, v: View): TypedArray {
    return arrayOver(this.buffer, v.dtype, this.address(program, v), count(v.shape));
  }

  /** Bytes of everything but argument blocks. */
  use(): MemoryUse {
    let weights = 0;
    const growth: Record<string, number> = {};
    for (const [key, { bytes, stored }] of this.shared) {
      weights += bytes;
      const cause = key.slice(0, key.indexOf(":"));
      if (bytes > stored) growth[cause] = (growth[cause] ?? 0) + bytes - stored;
    }
    const { arena, scratch, zeros } = this.regions;
    return {
      total: this.#imports?.env.memory.buffer.byteLength ?? 0,
      weights,
      growth,
      arena: arena.bytes,
      scratch: scratch.bytes,
      other: zeros.bytes + this.#reserved,
    };
  }

  drop(): void {
    this.#imports = null;
    this.shared.clear();
    this.#heap = new Heap(this.#reserved);
  }
}
