// ONNX element types and what becomes of them. Inside the graph float16, bfloat16 and double are
// computed in float32; unsigned types wider than a byte exist only as constants, widened exactly.
import type { DType } from "../../graph/dtype.js";

interface ElementType {
  readonly name: string;
  /** Type of a constant as stored. */
  readonly constant?: DType;
  /** Type of a value while computing. */
  readonly compute?: DType;
  /** Type of a graph input or output. */
  readonly boundary?: DType;
}

const same = (name: string, t: DType): ElementType => ({ name, constant: t, compute: t, boundary: t });

const types: Record<number, ElementType> = {
  1: same("float", "float32"),
  2: same("uint8", "uint8"),
  3: same("int8", "int8"),
  4: { name: "uint16", constant: "int32" },
  5: same("int16", "int16"),
  6: same("int32", "int32"),
  7: same("int64", "int64"),
  8: same("string", "string"),
  9: same("bool", "bool"),
  10: { name: "float16", constant: "float16", compute: "float32", boundary: "float16" },
  11: { name: "double", constant: "float32", compute: "float32" },
  12: { name: "uint32", constant: "int64" },
  13: { name: "uint64", constant: "int64" },
  14: { name: "complex64" },
  15: { name: "complex128" },
  16: { name: "bfloat16", constant: "float32", compute: "float32" },
  17: { name: "float8e4m3fn" },
  18: { name: "float8e4m3fnuz" },
  19: { name: "float8e5m2" },
  20: { name: "float8e5m2fnuz" },
  21: { name: "uint4", constant: "uint8" },
  22: { name: "int4", constant: "int4" },
  23: { name: "float4e2m1" },
  24: { name: "float8e8m0" },
  25: { name: "uint2" },
  26: { name: "int2" },
};

export const typeName = (code: number | undefined): string =>
  types[code ?? 0]?.name ?? `element type ${code ?? 0}`;
export const constantType = (code: number | undefined): DType | undefined => types[code ?? 0]?.constant;
export const computeType = (code: number | undefined): DType | undefined => types[code ?? 0]?.compute;
export const boundaryType = (code: number | undefined): DType | undefined => types[code ?? 0]?.boundary;
