// TFLite stores pruned weights as TACO-style sparse tensors: levels in traversal order, each dense or
// compressed (CSR: segments and indices), the last ones blocks of an original dimension. Minnow has dense
// kernels only, so the dense array is rebuilt when the file is read.
import type { Table } from "../flatbuffer.js";
import { dimMetadata, sparsity } from "./schema.js";

interface Level {
  size: number;
  /** Compressed levels: children of entry p are segments[p] … segments[p + 1] − 1. */
  segments?: readonly number[];
  indices?: readonly number[];
  /** What one step along this level adds to the dense element index. */
  stride: number;
}

/** Vectors of segments and indices are a union of three widths. */
function indexVector(t: Table, typeSlot: number, slot: number): number[] | undefined {
  const type = (["", "i32", "u16", "u8"] as const)[t.num(typeSlot, "u8")];
  return type ? t.table(slot)?.nums(0, type) : undefined;
}

function readLevels(t: Table, shape: readonly number[]): Level[] {
  const order = t.nums(sparsity.traversalOrder, "i32") ?? [];
  const blockMap = t.nums(sparsity.blockMap, "i32") ?? [];
  const dims = t.tables(sparsity.dimMetadata);
  const rank = shape.length;
  const fail = (why: string): never => t.file.fail(`sparse tensor: ${why}`);
  if (
    order.length !== rank + blockMap.length ||
    dims.length !== order.length ||
    new Set(order).size !== order.length
  )
    fail("its levels do not fit its shape");
  if (blockMap.some((d) => !(d >= 0 && d < rank)) || new Set(blockMap).size !== blockMap.length)
    fail("its block map does not fit its shape");
  const sizes = dims.map((d) => d.num(dimMetadata.denseSize, "i32"));
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  return order.map((axis, level) => {
    const d = dims[level] as Table;
    if (!(axis >= 0 && axis < order.length)) fail("a level names no dimension");
    const original = axis < rank ? axis : (blockMap[axis - rank] as number);
    const block = blockMap.indexOf(original);
    const blockSize = block < 0 ? 1 : (sizes[order.indexOf(rank + block)] as number);
    const extent = axis < rank ? (shape[axis] as number) / blockSize : blockSize;
    const stride = (strides[original] as number) * (axis < rank ? blockSize : 1);
    if (!(Number.isInteger(extent) && extent > 0)) fail("a block does not divide its dimension");
    if (d.num(dimMetadata.format, "u8") === 0) {
      if (sizes[level] !== extent) fail("a dense level has another size than its dimension");
      return { size: extent, stride };
    }
    const segments = indexVector(d, dimMetadata.segmentsType, dimMetadata.segments);
    const indices = indexVector(d, dimMetadata.indicesType, dimMetadata.indices);
    if (!segments || !indices) return fail("a compressed level lacks its segments or indices");
    if (
      segments.some((s, i) => s > indices.length || s < (segments[i - 1] ?? 0)) ||
      indices.some((i) => i < 0 || i >= extent)
    )
      fail("a segment or index is outside its level");
    return { size: extent, segments, indices, stride };
  });
}

/**
 * The dense bytes of a sparse tensor.
 * @param t its SparsityParameters
 * @param shape its dense shape; the caller has checked that the dense size is affordable
 * @param stored the stored elements, in traversal order
 * @param size bytes of one element
 */
export function densify(t: Table, shape: readonly number[], stored: Uint8Array, size: number): Uint8Array {
  const levels = readLevels(t, shape);
  const dense = new Uint8Array(shape.reduce((a, b) => a * b, 1) * size);
  const count = Math.floor(stored.length / size);
  let next = 0;
  const visit = (level: number, parent: number, offset: number): void => {
    const l = levels[level];
    if (!l) {
      if (next >= count) t.file.fail("sparse tensor: fewer values than its levels name");
      dense.set(stored.subarray(next * size, (next + 1) * size), offset * size);
      next++;
      return;
    }
    if (!l.segments || !l.indices) {
      for (let i = 0; i < l.size; i++) visit(level + 1, parent * l.size + i, offset + i * l.stride);
      return;
    }
    const from = l.segments[parent];
    const to = l.segments[parent + 1];
    if (from === undefined || to === undefined) return t.file.fail("sparse tensor: too few segments");
    for (let i = from; i < to; i++) visit(level + 1, i, offset + (l.indices[i] as number) * l.stride);
  };
  visit(0, 0, 0);
  return dense;
}
