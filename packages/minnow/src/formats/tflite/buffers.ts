// The data of a TFLite file's tensors: where a buffer's bytes lie, and the forms that Minnow stores
// otherwise (sparse, four-bit, transposed). Copies are limited by the file's size: a count in a
// damaged file never allocates more than the bytes justify.
import { arrayFromBytes, type DType, elementBytes, type TypedArray } from "../../graph/dtype.js";
import type { FlatBuffer, Table } from "../flatbuffer.js";
import * as schema from "./schema.js";
import { densify } from "./sparse.js";

export class Buffers {
  readonly #tables: readonly Table[];
  #budget: number;

  constructor(
    readonly file: FlatBuffer,
    model: Table,
  ) {
    this.#tables = model.tables(schema.model.buffers);
    this.#budget = 2 ** 24 + 32 * file.bytes.byteLength;
  }

  /** Bytes of buffer `index`, where they lie; none for buffer 0 and empty ones. */
  bytes(index: number): Uint8Array | undefined {
    const t = this.#tables[index];
    if (!t) return index === 0 ? undefined : this.file.fail(`buffer ${index} does not exist`);
    const offset = t.num(schema.buffer.offset, "u64");
    // Large models keep data behind the FlatBuffer; offsets 0 and 1 mean that there is none.
    if (offset > 1) {
      const size = t.num(schema.buffer.size, "u64");
      this.file.range(offset, size);
      return this.file.bytes.subarray(offset, offset + size);
    }
    const data = t.bytes(schema.buffer.data);
    return data?.length ? data : undefined;
  }

  /** Accounts for a copy. */
  spend(bytes: number): void {
    this.#budget -= bytes;
    if (!(this.#budget >= 0)) this.file.fail("its tensors are much larger than its bytes");
  }

  /**
   * The data of a constant of `count` elements; four-bit integers become int8.
   * @param sparsity its SparsityParameters, if any
   */
  array(bytes: Uint8Array, dtype: DType, shape: readonly number[], sparsity: Table | undefined): TypedArray {
    const count = shape.reduce((a, b) => a * b, 1);
    if (!Number.isSafeInteger(count)) this.file.fail(`a tensor has shape [${shape}]`);
    let data = bytes;
    if (sparsity) {
      if (dtype === "int4") this.file.fail("a sparse tensor of four-bit integers");
      this.spend(count * elementBytes(dtype));
      data = densify(sparsity, shape, bytes, elementBytes(dtype));
    }
    const size = Math.ceil(count * elementBytes(dtype));
    if (data.length < size)
      this.file.fail(`a tensor of shape [${shape}] has ${data.length} bytes, not ${size}`);
    if (dtype === "int4") {
      this.spend(count);
      return unpackInt4(data, count);
    }
    if (data.byteOffset % elementBytes(dtype) !== 0) this.spend(size); // unaligned: it will be copied
    if (dtype === "bool") {
      this.spend(size);
      return data.slice(0, size).map((b) => (b ? 1 : 0));
    }
    return arrayFromBytes(dtype, data.subarray(0, size));
  }

  /** The transposed array: axis i of the result is axis perm[i] of `data`. */
  transpose(data: TypedArray, shape: readonly number[], perm: readonly number[]): TypedArray {
    this.spend(data.byteLength);
    const result = new (data.constructor as new (length: number) => TypedArray)(data.length);
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
    let at = 0;
    const walk = (axis: number, from: number): void => {
      const p = perm[axis] as number;
      const n = shape[p] as number;
      const step = strides[p] as number;
      for (let i = 0; i < n; i++) {
        if (axis + 1 < perm.length) walk(axis + 1, from + i * step);
        else result[at++] = data[from + i * step] as never;
      }
    };
    walk(0, 0);
    return result;
  }
}

function unpackInt4(bytes: Uint8Array, count: number): Int8Array {
  const out = new Int8Array(count);
  for (let i = 0; i < count; i++) out[i] = ((bytes[i >> 1] as number) << (i & 1 ? 24 : 28)) >> 28;
  return out;
}
