// Text on targets that know numbers only. Operators on text move it, pick it or ask whether it is the
// same: for all of these a number a text does. A model with text therefore runs as the same graph over
// int32, and texts become numbers and numbers texts at its doors. Loaded by models that hold text only.
import type { Graph, Node, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { type Binding, inferGraph } from "../ops/infer.js";
import type { Device, DeviceModel, Plan, RawArray, StepHook } from "./device.js";

/** What needs no more than equality; zeros that Pad writes are "". */
const textual = new Set(
  [
    "Identity",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Concat",
    "Split",
    "Slice",
    "Pad",
  ].concat([
    "Gather",
    "GatherElements",
    "GatherND",
    "Expand",
    "Tile",
    "Where",
    "Equal",
    "NotEqual",
    "Shape",
    "Size",
  ]),
);

/** A number a text. Those of one run are forgotten after it, those of the model's constants stay. */
export class Texts {
  readonly #texts: string[] = [""];
  readonly #ids = new Map<string, number>([["", 0]]);

  id = (text: string): number => {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#texts.length;
      this.#ids.set(text, id);
      this.#texts.push(text);
    }
    return id;
  };

  text = (id: number): string => this.#texts[id] as string;

  get size(): number {
    return this.#texts.length;
  }

  forget(size: number): void {
    for (const text of this.#texts.splice(size)) this.#ids.delete(text);
  }
}

/** The device, for graphs with text. @throws ModelError unsupported, for operators that read text as text */
export const withText = (device: Device): Device => ({
  name: device.name,
  async open(graph, options) {
    const texts = new Texts();
    return new TextModel(graph, await device.open(numbered(graph, texts), options), texts);
  },
});

/** The graph with int32 in the place of text. */
export function numbered(graph: Graph, texts: Texts): Graph {
  const copies = new Map<Tensor, Tensor>();
  const tensor = (t: Tensor): Tensor => {
    if (t.dtype !== "string") return t;
    let copy = copies.get(t);
    if (!copy) {
      copy = { ...t, dtype: "int32" };
      if (t.strings) copy.data = Int32Array.from(t.strings, texts.id);
      delete copy.strings;
      copies.set(t, copy);
    }
    return copy;
  };
  const node = (n: Node): Node => {
    const holdsText = [...n.inputs, ...n.outputs].some((t) => t?.dtype === "string");
    if (holdsText && !textual.has(n.op))
      throw new ModelError("unsupported", `${n.op} ${JSON.stringify(n.name)} works on text`, {
        op: n.op,
        hint: "text can be moved, picked and compared; do the rest before or after the model",
      });
    return { ...n, inputs: n.inputs.map((t) => t && tensor(t)), outputs: n.outputs.map(tensor) };
  };
  return Object.assign(Object.create(Object.getPrototypeOf(graph)) as Graph, graph, {
    inputs: graph.inputs.map(tensor),
    outputs: graph.outputs.map(tensor),
    nodes: graph.nodes.map(node),
  });
}

class TextModel implements DeviceModel {
  readonly memory = () => this.model.memory();
  readonly kernels = () => this.model.kernels();
  readonly threads = () => this.model.threads?.() ?? { used: 1, reason: "" };
  readonly dispose = () => this.model.dispose();
  readonly #constants: number;

  constructor(
    private readonly graph: Graph,
    private readonly model: DeviceModel,
    private readonly texts: Texts,
  ) {
    this.#constants = texts.size;
  }

  get notes(): readonly string[] {
    return this.model.notes;
  }

  async plan(binding: Binding): Promise<Plan> {
    inferGraph(this.graph, binding); // types are checked while text is text
    const plan = await this.model.plan(binding);
    const ports = (own: Plan["inputs"], tensors: readonly Tensor[]): Plan["inputs"] =>
      own.map((p, i) => (tensors[i]?.dtype === "string" ? { ...p, dtype: "string" } : p));
    const [inputs, outputs] = [
      ports(plan.inputs, this.graph.inputs),
      ports(plan.outputs, this.graph.outputs),
    ];
    const ids = outputs.map((p, i) => (p.dtype === "string" ? new Int32Array(sizeOf(plan, i)) : null));
    const { texts } = this;
    const size = this.#constants;
    const textsOf = (from: Int32Array, out: (RawArray | undefined)[], i: number): void => {
      out[i] ??= new Array<string>(from.length);
      const to = out[i] as string[];
      from.forEach((id, k) => {
        to[k] = texts.text(id);
      });
    };
    const run = async (
      given: readonly RawArray[],
      out: (RawArray | undefined)[],
      onStep?: StepHook,
      signal?: AbortSignal,
    ): Promise<void> => {
      try {
        const numbers = given.map((x) => (isText(x) ? Int32Array.from(x, texts.id) : x));
        const arrays = out.map((x, i) => ids[i] ?? x);
        await plan.run(numbers, arrays, onStep, signal);
        arrays.forEach((x, i) => {
          if (ids[i]) textsOf(ids[i], out, i);
          else out[i] = x;
        });
      } finally {
        texts.forget(size);
      }
    };
    return { ...shown(plan), inputs, outputs, run, release: () => plan.release?.() };
  }
}

const isText = (x: RawArray): x is string[] => Array.isArray(x);
const sizeOf = (plan: Plan, i: number): number => (plan.outputs[i]?.shape ?? []).reduce((a, b) => a * b, 1);
/** Plans may be instances: what a report reads, by name. */
const shown = ({ steps, fusions, arena }: Plan) => ({ steps, fusions, arena });
