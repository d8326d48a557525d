// What plans and emits for a graph's shapes: a part of its own, because a model that brings its plan and code
// (targets/wasm/precompiled.ts) starts without it.
import { compile } from "../compiler/compile.js";
import type { Graph } from "../graph/graph.js";
import { ModelError } from "../error.js";
import type { Binding } from "../ops/infer.js";
import type { Engine } from "../targets/wasm/engine.js";
import type { WasmModel } from "../targets/wasm/instance.js";
import type { Prepared } from "../targets/wasm/kernel.js";
import { takes } from "../targets/wasm/kernels/index.js";
import { prepare } from "../targets/wasm/prepare.js";
import { probeEngine } from "../targets/wasm/probe.js";
import type { DeviceOptions } from "./device.js";

export function engineFor({ deterministic, small }: DeviceOptions): Engine {
  try {
    return { ...probeEngine({ deterministic }), small };
  } catch (cause) {
    throw new ModelError("device", "this engine compiles no WebAssembly", {
      hint: "a Content-Security-Policy needs 'wasm-unsafe-eval' in script-src",
      cause,
    });
  }
}

export function plan(
  graph: Graph,
  binding: Binding,
  { fuse, maxOperations, maxMemory }: DeviceOptions,
  engine: Engine,
  model: WasmModel,
): Promise<Prepared> {
  const program = compile(graph, binding, { fuse, maxOperations, maxMemory, takes });
  for (const port of [...program.inputs, ...program.outputs])
    if (port.view.dtype === "string")
      throw new ModelError("unsupported", `tensor ${port.name} holds strings`, { tensor: port.name });
  return prepare(program, engine, model);
}
