// Reads FlatBuffers that nobody vouches for: TFLite files, TFLite metadata and .minnow files. Every
// offset, count and string is checked against the bytes before it is used, and the total work is
// limited by the file's size, so shared or repeated references cannot make a small file cost much.
// Field numbers (slots) come from each format's schema table; nothing is generated.
import { ModelError } from "../error.js";

export type Scalar = "i8" | "u8" | "bool" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "f32" | "f64";

const sizes: Record<Scalar, number> = {
  i8: 1,
  u8: 1,
  bool: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  f32: 4,
  i64: 8,
  u64: 8,
  f64: 8,
};

const text = new TextDecoder();

/** A buffer under suspicion. `what` names it in messages, e.g. "TFLite file". */
export class FlatBuffer {
  readonly view: DataView;
  /** Bytes of tables, vectors and strings that may still be read: about twice the file. */
  #budget: number;

  constructor(
    readonly bytes: Uint8Array,
    readonly what: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#budget = 2 * bytes.byteLength + 65536;
  }

  /** The root table. @throws ModelError bad_file, as everything here */
  root(): Table {
    this.range(0, 8);
    return new Table(this, this.view.getUint32(0, true));
  }

  fail(message: string): never {
    throw new ModelError("bad_file", `${this.what}: ${message}`, {
      hint: "the file is damaged or not what it seems",
    });
  }

  /** Fails unless `length` bytes from `at` lie inside. */
  range(at: number, length: number): void {
    if (!(at >= 0 && length >= 0 && at + length <= this.bytes.byteLength))
      this.fail(`${length} bytes at ${at} are outside its ${this.bytes.byteLength} bytes`);
  }

  spend(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) this.fail("it describes far more than its size can hold");
  }

  /** One scalar; 64-bit integers must be exact as numbers. The caller has checked the range. */
  read(type: Scalar, at: number): number {
    const v = this.view;
    switch (type) {
      case "i8":
        return v.getInt8(at);
      case "u8":
      case "bool":
        return v.getUint8(at);
      case "i16":
        return v.getInt16(at, true);
      case "u16":
        return v.getUint16(at, true);
      case "i32":
        return v.getInt32(at, true);
      case "u32":
        return v.getUint32(at, true);
      case "f32":
        return v.getFloat32(at, true);
      case "f64":
        return v.getFloat64(at, true);
      default: {
        const n = Number(type === "i64" ? v.getBigInt64(at, true) : v.getBigUint64(at, true));
        return Number.isSafeInteger(n) ? n : this.fail(`a 64-bit number at ${at} is out of bounds`);
      }
    }
  }

  /** Start and count of the vector at `at`, checked. */
  vector(at: number, elementSize: number): { start: number; count: number } {
    this.range(at, 4);
    const count = this.view.getUint32(at, true);
    this.range(at + 4, count * elementSize);
    return { start: at + 4, count };
  }

  string(at: number): string {
    const { start, count } = this.vector(at, 1);
    this.spend(count);
    return text.decode(this.bytes.slice(start, start + count)); // no decoder takes a buffer that may shrink
  }
}

/** A table of the buffer. Slots are the schema's field numbers, counted from 0. */
export class Table {
  readonly #vtable: number;
  readonly #slots: number;
  readonly #size: number;

  constructor(
    readonly file: FlatBuffer,
    readonly at: number,
  ) {
    file.range(at, 4);
    file.spend(8);
    const vtable = at - file.view.getInt32(at, true);
    file.range(vtable, 4);
    const bytes = file.view.getUint16(vtable, true);
    file.range(vtable, bytes);
    this.#vtable = vtable;
    this.#slots = (bytes >> 1) - 2;
    this.#size = file.view.getUint16(vtable + 2, true);
    file.range(at, this.#size);
  }

  /** Where a field of `size` bytes lies; 0 when absent. */
  position(slot: number, size: number): number {
    if (slot >= this.#slots) return 0;
    const offset = this.file.view.getUint16(this.#vtable + 4 + 2 * slot, true);
    if (offset === 0) return 0;
    if (offset + size > this.#size) this.file.fail(`field ${slot} of the table at ${this.at} is outside it`);
    return this.at + offset;
  }

  num(slot: number, type: Scalar, or = 0): number {
    const at = this.position(slot, sizes[type]);
    return at ? this.file.read(type, at) : or;
  }

  /** Where an offset field points; 0 when absent. */
  #target(slot: number): number {
    const at = this.position(slot, 4);
    return at ? at + this.file.view.getUint32(at, true) : 0;
  }

  table(slot: number): Table | undefined {
    const at = this.#target(slot);
    return at ? new Table(this.file, at) : undefined;
  }

  string(slot: number): string | undefined {
    const at = this.#target(slot);
    return at ? this.file.string(at) : undefined;
  }

  nums(slot: number, type: Scalar): number[] | undefined {
    const at = this.#target(slot);
    if (!at) return undefined;
    const size = sizes[type];
    const { start, count } = this.file.vector(at, size);
    this.file.spend(count * size);
    const out: number[] = [];
    for (let i = 0; i < count; i++) out.push(this.file.read(type, start + i * size));
    return out;
  }

  /** A vector of bytes, not copied. */
  bytes(slot: number): Uint8Array | undefined {
    const at = this.#target(slot);
    if (!at) return undefined;
    const { start, count } = this.file.vector(at, 1);
    return this.file.bytes.subarray(start, start + count);
  }

  /** The table elements of a vector; none when absent. */
  tables(slot: number): Table[] {
    return this.#offsets(slot).map((at) => new Table(this.file, at));
  }

  strings(slot: number): string[] | undefined {
    return this.#target(slot) ? this.#offsets(slot).map((at) => this.file.string(at)) : undefined;
  }

  #offsets(slot: number): number[] {
    const at = this.#target(slot);
    if (!at) return [];
    const { start, count } = this.file.vector(at, 4);
    this.file.spend(count * 4);
    return Array.from(
      { length: count },
      (_, i) => start + 4 * i + this.file.view.getUint32(start + 4 * i, true),
    );
  }
}
