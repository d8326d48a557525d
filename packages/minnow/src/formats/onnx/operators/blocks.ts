// Weights of few bits with a scale a block, as ONNX Runtime's quantiser writes them: (q − zero) · scale. Whole
// blocks of 4 or 8 bits stay so in the file, as rows of a block each, and become float32 when they are planned
// for; others become float32 here.
import { derive } from "../../../graph/deferred.js";
import type { TypedArray } from "../../../graph/dtype.js";
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { numbersOf } from "../builder.js";

interface Blocks {
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  /** Elements that share a scale, along a row; what is left makes one more. */
  readonly block: number;
  /** Stored elements of a row. */
  readonly pitch: number;
}

/** Elements of constant input i; low bits come first in a byte. */
function elements(c: Call, i: number): TypedArray {
  const t = c.raw(i);
  if (t.kind !== "constant" || !t.data) c.unsupported(`its input ${i} is computed`);
  return t.data;
}

const unpack = (bytes: TypedArray, bits: number, at: number): number =>
  bits === 8 ? Number(bytes[at]) : (Number(bytes[(at * bits) >> 3]) >> ((at * bits) & 7)) & ((1 << bits) - 1);

/** One zero point a block: packed like the weights, each row from a new byte, or numbers of the scales' type. */
function zeroPoints(c: Call, i: number, { rows, bits }: Blocks, perRow: number): Float32Array {
  if (!c.has(i)) return new Float32Array(rows * perRow).fill(2 ** (bits - 1));
  const t = c.raw(i);
  const bytes = elements(c, i);
  if (t.dtype !== "uint8") return Float32Array.from(numbersOf(t));
  const pitch = Math.ceil((perRow * bits) / 8) * (8 / bits);
  if (bytes.length !== (rows * pitch * bits) / 8) c.bad(`${bytes.length} bytes of zero points`);
  return Float32Array.from({ length: rows * perRow }, (_, n) =>
    unpack(bytes, bits, Math.floor(n / perRow) * pitch + (n % perRow)),
  );
}

/** Input `data` in real numbers, [rows, columns], by the scales and zero points in these inputs. */
function real(c: Call, b: Blocks, data: number, scales: number, zeros: number): Tensor {
  const { rows, columns, bits, block, pitch } = b;
  if (![2, 4, 8].includes(bits)) c.unsupported(`weights of ${bits} bits are not supported`);
  if (![rows, columns, block].every((v) => Number.isSafeInteger(v) && v > 0) || (pitch * bits) % 8 !== 0)
    c.bad(`[${rows}, ${columns}] in blocks of ${block}`);
  const bytes = elements(c, data);
  const perRow = Math.ceil(columns / block);
  elements(c, scales);
  const scale = Float32Array.from(numbersOf(c.raw(scales)));
  if (c.raw(data).dtype !== "uint8" || bytes.length !== (rows * pitch * bits) / 8)
    c.bad(`${bytes.length} bytes for [${rows}, ${columns}] of ${bits} bits`);
  const zero = zeroPoints(c, zeros, b, perRow);
  if (scale.length !== rows * perRow || zero.length !== scale.length)
    c.bad(`${scale.length} scales and ${zero.length} zero points for ${rows * perRow} blocks`);
  const whole = columns % block === 0 && pitch === columns && zero.every(Number.isInteger);
  if (whole && bits !== 2) return stored(c, b, c.raw(data), bytes, [...scale], [...zero]);
  const write = (out: TypedArray): void => {
    for (let r = 0, at = 0; r < rows; r++)
      for (let k = 0; k < columns; k++, at++) {
        const n = r * perRow + Math.floor(k / block);
        out[at] = (unpack(bytes, bits, r * pitch + k) - (zero[n] as number)) * (scale[n] as number);
      }
  };
  const made = derive("float32", rows * columns, bytes, `${bits} bits ${block}`, write);
  return c.builder.constant(`${c.raw(data).name}/real`, "float32", [rows, columns], made);
}

/** The blocks as they are, int4 being signed: rows of a matrix that is dequantised, and seen in its shape. */
function stored(
  c: Call,
  { rows, columns, bits, block }: Blocks,
  { name }: Tensor,
  bytes: TypedArray,
  scale: number[],
  zero: number[],
): Tensor {
  const flip = (out: TypedArray): void => {
    for (let i = 0; i < out.length; i++) out[i] = (bytes[i] as number) ^ 0x88;
  };
  const data = bits === 4 ? derive("int4", bytes.length, bytes, "signed", flip) : bytes;
  const t = c.builder.constant(name, bits === 4 ? "int4" : "uint8", [scale.length, block], data);
  t.quant = { scale, zeroPoint: bits === 4 ? zero.map((z) => z - 8) : zero, axis: 0 };
  const real = c.emit("Dequantize", [t], { to: "float32" }, { dtype: "float32" });
  return c.reshape(real, [rows, columns]);
}

/** x · Wᵀ, W [N, ⌈K / block⌉, block] */
const matMul: Row = (c) => {
  c.ignore("accuracy_level");
  if (c.has(4) || c.int("weight_prepacked", 0)) c.unsupported("weights in another order are not supported");
  const [columns, rows, block, bits] = [c.int("K"), c.int("N"), c.int("block_size"), c.int("bits", 4)];
  const b = { rows, columns, block, bits, pitch: Math.ceil(columns / block) * block };
  const inputs = [c.x(0), real(c, b, 1, 2, 3), ...(c.has(5) ? [c.x(5)] : [])];
  return c.emit("Dense", inputs, { keepDims: true });
};

/** Rows of a matrix */
const gather: Row = (c) => {
  const [bits, block] = [c.int("bits", 4), c.int("block_size", 128)];
  const [rows, packed, ...more] = c.shape(c.raw(0)) as number[];
  if (!rows || !packed || more.length || c.int("gather_axis", 0) !== 0 || c.int("quantize_axis", 1) !== 1)
    c.unsupported("only rows of a matrix in blocks along its rows are supported");
  const columns = (packed * 8) / bits;
  const table = real(c, { rows, columns, block, bits, pitch: columns }, 0, 2, 3);
  return c.emit("Gather", [table, c.x(1)], { axis: 0 });
};

export const blocks: Table = { MatMulNBits: matMul, GatherBlockQuantized: gather };
