// Short ways to write the cases of movement operators for the harness: exact unless said otherwise.
import type { DType } from "../graph/dtype.js";
import type { Attrs, Graph, Quantization } from "../graph/graph.js";
import { build, type CaseInput, checkCase, type OpCase, q8 } from "./harness.js";

export interface TensorSpec extends Omit<CaseInput, "constant"> {
  /** Given at run time although integer. Default: int32 and int64 behind the first input are constants. */
  readonly input?: boolean;
  readonly constant?: boolean;
}

export interface Case {
  readonly attrs?: Attrs;
  readonly inputs: readonly (TensorSpec | null)[];
  /** Declared outputs; default one of the first input's type. */
  readonly outputs?: readonly { dtype?: DType; quant?: Quantization }[];
  readonly shape?: readonly number[];
  /** Elements as stored, one list an output. */
  readonly expect?: readonly (readonly number[])[];
  /** As in the harness. Default 0. */
  readonly tolerance?: number;
}

/** Elements 1, 2, 3, … unless given. */
export const t = (shape: readonly number[], more: Omit<TensorSpec, "shape"> = {}): TensorSpec => ({
  shape,
  ...more,
});
/** A constant int64 list. */
export const list = (...data: number[]): TensorSpec => ({ shape: [data.length], dtype: "int64", data });
export const scalar = (v: number, dtype: DType = "int64"): TensorSpec => ({ shape: [], dtype, data: [v] });
export const affine = q8;

function caseOf(op: string, c: Case): OpCase {
  const first = c.inputs[0];
  const inputs = c.inputs.map((s, i): CaseInput | null => {
    if (!s) return null;
    const integer = s.dtype === "int32" || s.dtype === "int64";
    const size = s.shape.reduce((a, b) => a * Number(b), 1);
    const data = s.data ?? (Number.isNaN(size) ? [] : Array.from({ length: size }, (_, k) => k + 1));
    return { ...s, data, constant: s.constant ?? (!s.input && integer && i > 0) };
  });
  const outputs = (c.outputs ?? [{}]).map((o) => {
    const dtype = o.dtype ?? first?.dtype ?? "float32";
    const quant = o.quant ?? (dtype === first?.dtype ? first.quant : undefined);
    return { dtype, ...(quant && { quant }) };
  });
  return {
    op,
    inputs,
    outputs,
    tolerance: c.tolerance ?? 0,
    ...(c.attrs && { attrs: c.attrs }),
    ...(c.shape && { expectShape: c.shape }),
    ...(c.expect && { expectEach: c.expect }),
  };
}

/** The case's graph alone, for inference and errors. */
export const graphOf = (op: string, c: Case): { graph: Graph; inputs: ReturnType<typeof build>["inputs"] } =>
  build(caseOf(op, c));

/** Checks shape, reference, interpreted nests and WebAssembly of one operator. Returns the outputs. */
export async function check(op: string, c: Case): Promise<number[][]> {
  return (await checkCase(caseOf(op, c))).map((r) => Array.from(r.data));
}
