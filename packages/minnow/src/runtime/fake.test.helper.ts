// A device for tests of the runtime: output i is input i, elements doubled where they are numbers.
// It records what it was asked to do.
import { Graph, type Tensor } from "../graph/graph.js";
import type { Dim } from "../graph/dim.js";
import type { DType } from "../graph/dtype.js";
import type { Binding } from "../ops/infer.js";
import type { Device, DeviceModel, MemoryUse, Plan, RawArray, StepHook } from "./device.js";
import type { WorkerStart } from "./load.js";
import type { Setup } from "./load_here.js";
import { fixShapes, selectOutputs } from "./specialize.js";

export interface FakeLog {
  plans: Binding[];
  released: number;
  disposed: number;
  running: number;
  /** Most runs that were in progress at once. */
  overlap: number;
  /** Arrays of the last run. */
  inputs: readonly RawArray[];
  outputs: readonly RawArray[];
}

export interface FakeOptions {
  /** Awaited inside each run. */
  wait?: (run: number) => Promise<void> | void;
}

export function port(name: string, dtype: DType, shape: readonly Dim[], more: Partial<Tensor> = {}): Tensor {
  return { name, dtype, shape, kind: "input", ...more };
}

/** Outputs "y0", "y1", … mirror the inputs. */
export function fakeGraph(inputs: Tensor[], outputs: Tensor[] = mirrored(inputs)): Graph {
  const g = new Graph();
  g.inputs = inputs;
  g.outputs = outputs;
  return g;
}

const mirrored = (inputs: readonly Tensor[]): Tensor[] =>
  inputs.map((t, i) => ({ name: `y${i}`, dtype: t.dtype, shape: t.shape, kind: "value" }));

export function fakeDevice(options: FakeOptions = {}): { device: Device; log: FakeLog } {
  const log: FakeLog = {
    plans: [],
    released: 0,
    disposed: 0,
    running: 0,
    overlap: 0,
    inputs: [],
    outputs: [],
  };
  const device: Device = { name: "fake", open: (graph) => new FakeModel(graph, log, options) };
  return { device, log };
}

export const noWorker: WorkerStart = {
  web: () => {
    throw new Error("no worker in this test");
  },
  file: "none.js",
};

/** A setup whose "file" is any bytes and whose only device is the fake, called "cpu". */
export function fakeSetup(graph: () => Graph, options: FakeOptions = {}): { setup: Setup; log: FakeLog } {
  const { device, log } = fakeDevice(options);
  const setup: Setup = {
    read(_bytes, changes) {
      const g = graph();
      if (changes.outputs) selectOutputs(g, changes.outputs);
      fixShapes(g, changes);
      return g;
    },
    devices: { cpu: () => device },
    auto: ["cpu"],
  };
  return { setup, log };
}

class FakeModel implements DeviceModel {
  readonly notes = ["this is a fake"];

  constructor(
    private readonly graph: Graph,
    private readonly log: FakeLog,
    private readonly options: FakeOptions,
  ) {}

  plan(binding: Binding): Plan {
    this.log.plans.push(binding);
    const { log, options } = this;
    const shapes = this.graph.inputs.map((t) => binding.shapes?.[t.name] as number[]);
    const ports = (list: readonly Tensor[]) =>
      list.map((t, i) => ({ name: t.name, dtype: t.dtype, shape: shapes[i] as number[] }));
    let runs = 0;
    return {
      inputs: ports(this.graph.inputs),
      outputs: ports(this.graph.outputs),
      steps: shapes.map((s, i) => ({
        op: "Double",
        node: `double${i}`,
        fused: [],
        kernel: "fake_double",
        inputs: [s],
        output: s,
        macs: 1000,
        bytes: 2000,
      })),
      fusions: { none: 0 },
      arena: { bytes: 64, bound: 64, buffers: [] },
      async run(
        inputs: readonly RawArray[],
        outputs: (RawArray | undefined)[],
        onStep?: StepHook,
      ): Promise<void> {
        log.running++;
        log.overlap = Math.max(log.overlap, log.running);
        log.inputs = [...inputs];
        inputs.forEach((x, i) => {
          outputs[i] ??= Array.isArray(x) ? [] : (x.slice() as RawArray);
        });
        log.outputs = [...outputs] as RawArray[];
        try {
          await options.wait?.(runs++);
          inputs.forEach((x, i) => {
            double(x, outputs[i] as RawArray);
            onStep?.(i, 0.5);
          });
        } finally {
          log.running--;
        }
      },
      release: () => {
        log.released++;
      },
    };
  }

  memory(): MemoryUse {
    return { total: 1 << 20, weights: 1000, growth: {}, arena: 64, scratch: 0, code: 0 };
  }

  kernels(): number {
    return 1;
  }

  dispose(): void {
    this.log.disposed++;
  }
}

function double(x: RawArray, y: RawArray): void {
  if (Array.isArray(x)) (y as string[]).splice(0, x.length, ...x.map((s) => s + s));
  else if (x instanceof Uint16Array)
    (y as Uint16Array).set(x); // float16: bits as they are
  else if (x instanceof BigInt64Array) (y as BigInt64Array).set(x.map((n) => 2n * n));
  else (y as Float32Array).set((x as Float32Array).map((n) => 2 * n));
}
