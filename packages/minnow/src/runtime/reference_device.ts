// The reference as a device: slow, in float64, operator by operator. For `compare` and for doubts.
import { count, isConcrete } from "../graph/dim.js";
import { elementBytes, newArray } from "../graph/dtype.js";
import type { Graph, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { type Binding, inferGraph, type Known } from "../ops/infer.js";
import { evaluate, toArray } from "../targets/reference/index.js";
import type { Device, DeviceModel, MemoryUse, Plan, PlannedStep, PlanPort, RawArray } from "./device.js";

export const referenceDevice: Device = {
  name: "reference",
  open: (graph) => new ReferenceModel(graph),
};

class ReferenceModel implements DeviceModel {
  readonly notes = ["plain TypeScript in float64: exact and slow"];

  constructor(private readonly graph: Graph) {}

  plan(binding: Binding): Plan {
    const { graph } = this;
    const known = inferGraph(graph, binding);
    const port = (t: Tensor): PlanPort => ({
      name: t.name,
      dtype: known.get(t)?.dtype ?? t.dtype,
      shape: shapeOf(t, known),
    });
    const inputs = graph.inputs.map(port);
    const outputs = graph.outputs.map(port);
    return {
      inputs,
      outputs,
      steps: graph.nodes.map((n) => step(n, known)),
      fusions: {},
      arena: { bytes: 0, bound: 0, buffers: [] },
      run(given: readonly RawArray[], results: (RawArray | undefined)[]): void {
        const record = Object.fromEntries(
          inputs.map((p, i) => [p.name, { data: numbersOf(given[i] as RawArray, p.name), shape: p.shape }]),
        );
        const values = evaluate(graph, record);
        graph.outputs.forEach((t, i) => {
          const value = values.get(t);
          const { dtype, shape } = outputs[i] as PlanPort;
          results[i] ??= newArray(dtype, count(shape));
          if (value) (results[i] as Float32Array).set(toArray(value) as Float32Array);
        });
      },
    };
  }

  memory(): MemoryUse {
    let weights = 0;
    for (const t of this.graph.tensors()) weights += t.data?.byteLength ?? 0;
    return { total: weights, weights, growth: {}, arena: 0, scratch: 0, code: 0 };
  }

  kernels(): number {
    return 0;
  }

  dispose(): void {}
}

function shapeOf(t: Tensor, known: Known): readonly number[] {
  const shape = known.get(t)?.shape ?? t.shape;
  if (isConcrete(shape)) return shape;
  throw new ModelError("unsupported", `the shape of ${t.name}, [${shape.join(", ")}], depends on data`, {
    tensor: t.name,
  });
}

function step(n: Graph["nodes"][number], known: Known): PlannedStep {
  const sizes = [...n.inputs, ...n.outputs].flatMap((t) => {
    const shape = t && (known.get(t)?.shape ?? t.shape);
    return t && shape && isConcrete(shape) ? [{ shape, bytes: count(shape) * elementBytes(t.dtype) }] : [];
  });
  return {
    op: n.op,
    node: n.name,
    fused: [],
    kernel: "reference",
    inputs: sizes.slice(0, -1).map((s) => s.shape),
    output: sizes.at(-1)?.shape ?? [],
    macs: 0,
    bytes: sizes.reduce((sum, s) => sum + s.bytes, 0),
  };
}

function numbersOf(data: RawArray, name: string): ArrayLike<number | bigint> {
  if (Array.isArray(data))
    throw new ModelError("unsupported", `tensor ${name} holds strings`, { tensor: name });
  return data as ArrayLike<number | bigint>;
}
