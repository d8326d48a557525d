// Models of one operator of com.microsoft, and what ONNX Runtime 1.32 made of them, without its optimiser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../../index.js";
import { type AttrSpec, modelBytes } from "./model.test.helper.js";

const types = { float: 1, uint8: 2, int8: 3, int32: 6, bool: 9 } as const;
type Type = keyof typeof types;
/** Type, shape, elements. */
export type Value = [type: Type, dims: number[], data: readonly number[]];

export interface Case {
  op: string;
  attrs?: Record<string, AttrSpec>;
  /** In the order of the node's inputs; constants are named like "w:", null is left out. */
  inputs: readonly (readonly [name: string, value: Value] | null)[];
  want: readonly number[];
  /** Of outputs behind the first. */
  more?: readonly (readonly number[])[];
  type?: Type;
  /** Names of outputs, y0, y1 …, where some are left out. */
  outputs?: readonly string[];
  /** Types of the others. */
  moreTypes?: readonly Type[];
  /** Floats: relative to the largest. Bytes: steps. */
  off?: number;
}

export const bytes = (n: number, step: number, low = 0): number[] =>
  Array.from({ length: n }, (_, i) => ((i * step) % 256) + low);
export const floats = (n: number, step: number): number[] =>
  Array.from({ length: n }, (_, i) => ((i * step) % 97) / 10 - 4);
export const scalar = (v: number): Value => ["float", [], [v]];
export const byte = (v: number): Value => ["uint8", [], [v]];
export const list = (type: Type, ...data: number[]): Value => [type, [data.length], data];

/** The first outputs of a model of one node. */
export async function run(c: Case, count: number): Promise<number[][]> {
  const given = c.inputs.flatMap((v) => (v ? [v] : []));
  const constants = given.filter(([name]) => name.endsWith(":"));
  const inputs = given.filter(([name]) => !name.endsWith(":"));
  const outputs = Array.from({ length: count }, (_, at) => `y${at}`);
  const model = modelBytes({
    opset: 13,
    nodes: [
      {
        op: c.op,
        domain: "com.microsoft",
        inputs: c.inputs.map((v) => v?.[0] ?? ""),
        outputs: c.outputs ?? outputs,
        ...(c.attrs && { attrs: c.attrs }),
      },
    ],
    inputs: inputs.map(([name, [type, shape]]) => ({ name, type: types[type], shape })),
    outputs: outputs.map((name, at) => ({
      name,
      type: types[(at ? c.moreTypes?.[at - 1] : c.type) ?? "float"],
    })),
    initializers: constants.map(([name, [type, dims, data]]) => ({
      name,
      type: types[type],
      dims,
      ...(type === "float" ? { floats: data } : { int32s: data }),
    })),
  });
  await using loaded = await load(model);
  const values = Object.fromEntries(
    inputs.map(([name, [, shape, data]]) => [name, { data: [...data], shape }]),
  );
  const results = await loaded.run(values);
  return outputs.map((name) => Array.from(results[name]?.data as Float32Array));
}

/** One test a case: what is wanted comes out. */
export function checkCases(cases: readonly Case[]): void {
  for (const [i, c] of cases.entries())
    test(`${i}: ${c.op}`, async () => {
      const wanted = [c.want, ...(c.more ?? [])];
      const results = await run(c, wanted.length);
      wanted.forEach((want, at) => {
        const got = results[at] as number[];
        const limit = c.off ?? 2e-6 * Math.max(...want.map(Math.abs));
        assert.equal(got.length, want.length);
        const worst = Math.max(...got.map((v, k) => Math.abs(v - (want[k] as number))));
        assert.ok(worst <= limit, `output ${at}: ${got}\nwant ${want}`);
      });
    });
}
