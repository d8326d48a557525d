// Runs a Graph once on WebAssembly: the short way for tests, folding and tools. `load` is the long way.
import { compile, type CompileOptions } from "../compiler/compile.js";
import type { TypedArray } from "../graph/dtype.js";
import type { DType } from "../graph/dtype.js";
import type { Graph } from "../graph/graph.js";
import type { WasmOptions } from "../targets/wasm/bound.js";
import { baseline, type Engine } from "../targets/wasm/engine.js";
import { takes } from "../targets/wasm/kernels/index.js";
import { prepare } from "../targets/wasm/prepare.js";
import { WasmModel } from "../targets/wasm/instance.js";

export interface RunValue {
  data: TypedArray;
  shape: readonly number[];
  dtype: DType;
}

/** @param inputs storage arrays by input name (float16 as Uint16Array bits) */
export async function runGraph(
  graph: Graph,
  inputs: Readonly<Record<string, { data: TypedArray; shape: readonly number[] }>>,
  options: WasmOptions & CompileOptions & { readonly engine?: Engine } = {},
): Promise<Record<string, RunValue>> {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, v]) => [name, v.shape]));
  const program = compile(graph, { shapes }, { takes, ...options });
  const model = new WasmModel(options);
  const bound = await model.bind(await prepare(program, options.engine ?? baseline, model));
  const given = program.inputs.map((p) => {
    const v = inputs[p.name];
    if (!v) throw new Error(`no input ${p.name}`);
    return v.data;
  });
  const results = model.run(bound, given);
  const out: Record<string, RunValue> = {};
  program.outputs.forEach((p, i) => {
    out[p.name] = { data: results[i] as TypedArray, shape: p.view.shape, dtype: p.view.dtype };
  });
  model.dispose();
  return out;
}
