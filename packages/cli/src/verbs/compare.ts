// minnow compare: one model against another file, another device, or goldens; when outputs differ,
// layer by layer, to the first tensor that does.
import { stat } from "node:fs/promises";
import { load, type LoadOptions, type Model, type ModelOutputs, type TensorSpec } from "minnow";
import { read } from "minnow/convert";
import { type Args, UsageError, type Verb } from "../args.js";
import { type Difference, difference, type Numbers, type Tolerance } from "../difference.js";
import { readGoldens } from "../goldens.js";
import { loadOptions, loadOptionsOf } from "../model_options.js";
import { print, printJson, Progress, shape, table } from "../output.js";
import { readModel } from "../read_model.js";
import { gatherInputs, inputOptions, type Inputs } from "../values.js";

const devices = ["reference", "cpu", "wasm", "gpu", "npu"];

interface Row extends Difference {
  readonly tensor: string;
  readonly op?: string;
}

/** What `a` is compared with: its tensors, as far as it has them. */
interface Other {
  readonly label: string;
  /** null = goldens: only what the folder holds. */
  tensors(names: readonly string[], inputs: Inputs): Promise<Map<string, Numbers>>;
  readonly inputs?: Inputs;
  readonly names: readonly string[];
  readonly outputs: readonly string[];
}

export const compare: Verb = {
  name: "compare",
  summary:
    "Compare a model with another file, another device or goldens; name the first tensor that differs.",
  positional: "<model> <other model | device | folder>",
  count: [1, 2],
  options: {
    ...loadOptions,
    ...inputOptions,
    layers: { help: "compare layer by layer even when the outputs agree" },
    tolerance: { value: "R", help: "of the largest value (default 1e-4)" },
    absolute: { value: "A", help: "always allowed (default 1e-5)" },
    accuracy: { value: "P", help: "tolerance in per cent", hidden: true },
    goldens: { value: "DIR", help: "folder of goldens", hidden: true },
  },
  examples: [
    "compare m.minnow m.onnx",
    "compare m.tflite reference --layers",
    "compare m.onnx ./goldens --json",
  ],
  async run(args) {
    const progress = Progress.for(args);
    const path = args.positionals[0] as string;
    const against = args.positionals[1] ?? args.text("goldens");
    if (against === undefined)
      throw new UsageError("compare needs something to compare with: a model, a device or a folder");
    const options = loadOptionsOf(args);
    const bytes = await readModel(path, progress);
    const a = new Side(path, bytes, options);
    const model = await a.model();
    const b = await otherOf(against, args, a, options, progress);
    const inputs = b.inputs ?? (await gatherInputs(model, args.list("input"), args)).inputs;
    const tolerance = toleranceOf(args);

    progress.show("running");
    const outputs = await compareTensors(a, b, pairOutputs(a, b), inputs, tolerance);
    const differs = outputs.some((r) => !r.ok);
    let layers: Row[] = [];
    if (differs || args.flag("layers")) {
      progress.show("layer by layer");
      const shared = new Set(b.names);
      const pairs = a.names.filter((n) => shared.has(n)).map((n) => [n, n] as const);
      layers = pairs.length ? await compareTensors(a, b, pairs, inputs, tolerance) : [];
    }
    await a.dispose();
    progress.clear();
    const first = layers.find((r) => !r.ok);
    const ok = !differs && !first;
    const result = {
      ok,
      a: path,
      b: b.label,
      tolerance,
      outputs,
      first: first ?? null,
      ...(args.flag("layers") && { layers }),
    };
    if (args.flag("json")) printJson(result);
    else report(path, b.label, outputs, layers, first, args.flag("layers"));
    return ok ? 0 : 1;
  },
};

function toleranceOf(args: Args): Tolerance {
  const percent = args.number("accuracy", 0, false);
  const relative = args.number("tolerance", 0, false) ?? (percent === undefined ? 1e-4 : percent / 100);
  return { relative, absolute: args.number("absolute", 0, false) ?? 1e-5 };
}

/** A model file on a device; loads once for its outputs and once for all its tensors. */
class Side {
  readonly names: string[] = [];
  readonly ops = new Map<string, string>();
  private loaded: Model | null = null;

  constructor(
    readonly label: string,
    private readonly bytes: Uint8Array,
    private readonly options: LoadOptions,
  ) {
    for (const node of read(bytes).nodes)
      for (const t of node.outputs) {
        this.names.push(t.name);
        this.ops.set(t.name, node.op);
      }
  }

  async model(): Promise<Model> {
    this.loaded ??= await load(this.bytes, this.options);
    return this.loaded;
  }

  get outputs(): string[] {
    return this.loaded?.outputs.map((t) => t.name) ?? [];
  }

  async tensors(names: readonly string[], inputs: Inputs): Promise<Map<string, Numbers>> {
    const plain = await this.model();
    const own = new Set(this.outputs);
    if (names.every((n) => own.has(n)))
      return numbers(await plain.run(byPlace(inputs, plain.inputs)), plain.outputs);
    const out = new Map<string, Numbers>();
    for (const part of parts(names)) {
      const model = await load(this.bytes, { ...this.options, outputs: part });
      try {
        for (const [n, v] of numbers(await model.run(byPlace(inputs, model.inputs)), model.outputs))
          out.set(n, v);
      } finally {
        await model.dispose();
      }
    }
    return out;
  }

  async dispose(): Promise<void> {
    await this.loaded?.dispose();
  }
}

/** All tensors at once would be kept alive together: in parts. */
function* parts(names: readonly string[], size = 256): Generator<string[]> {
  const unique = [...new Set(names)];
  for (let i = 0; i < unique.length; i += size) yield unique.slice(i, i + size);
}

/** Two files of one model may name inputs differently: then their order counts. */
function byPlace(inputs: Inputs, specs: readonly TensorSpec[]): Inputs {
  const values = Object.values(inputs);
  return Object.fromEntries(
    specs.flatMap((t, i) => {
      const v = inputs[t.name] ?? values[i];
      return v ? [[t.name, v]] : [];
    }),
  );
}

const numbers = (outputs: ModelOutputs, specs: readonly TensorSpec[]): Map<string, Numbers> =>
  new Map(
    specs.flatMap((t) => {
      const v = outputs[t.name];
      return v ? [[t.name, { ...v, quantization: t.quantization }] as const] : [];
    }),
  );

async function otherOf(
  text: string,
  args: Args,
  a: Side,
  options: LoadOptions,
  progress: Progress,
): Promise<Other> {
  const kind = await stat(text).catch(() => null);
  if (kind?.isDirectory()) {
    const { inputs, tensors } = await readGoldens(text, await a.model(), [...a.names, ...a.outputs]);
    const values = new Map(tensors.map((t) => [t.name, t.value]));
    const names = tensors.map((t) => t.name);
    return { label: text, inputs, names, outputs: names, tensors: async () => values };
  }
  if (!kind && devices.includes(text)) {
    const side = new Side(text, await readModel(args.positionals[0] as string, progress), {
      ...options,
      device: text,
    });
    await side.model();
    return sideAsOther(side, text);
  }
  const side = new Side(text, await readModel(text, progress), options);
  await side.model();
  return sideAsOther(side, text);
}

const sideAsOther = (side: Side, label: string): Other => ({
  label,
  names: side.names,
  outputs: side.outputs,
  tensors: (names, inputs) => side.tensors(names, inputs),
});

/** [name in a, name in b]: equal names, else the same place. */
function pairOutputs(a: Side, b: Other): (readonly [string, string])[] {
  const all = new Set([...a.outputs, ...a.names]);
  if (b.outputs.every((n) => all.has(n))) return b.outputs.map((n) => [n, n]);
  if (a.outputs.length !== b.outputs.length)
    throw new UsageError(`the outputs do not match: ${a.outputs.join(", ")} and ${b.outputs.join(", ")}`);
  return a.outputs.map((n, i) => [n, b.outputs[i] as string]);
}

async function compareTensors(
  a: Side,
  b: Other,
  pairs: readonly (readonly [string, string])[],
  inputs: Inputs,
  tolerance: Tolerance,
): Promise<Row[]> {
  const got = await a.tensors(
    pairs.map(([n]) => n),
    inputs,
  );
  const want = await b.tensors(
    pairs.map(([, n]) => n),
    inputs,
  );
  return pairs.flatMap(([x, y]) => {
    const [g, w] = [got.get(x), want.get(y)];
    const op = a.ops.get(x);
    return g && w ? [{ tensor: x, ...(op && { op }), ...difference(g, w, tolerance) }] : [];
  });
}

function report(
  a: string,
  b: string,
  outputs: readonly Row[],
  layers: readonly Row[],
  first: Row | undefined,
  all: boolean,
): void {
  print(`${a}  against  ${b}\n`);
  print(rowsOf(all ? layers : [], "layer"));
  print(rowsOf(outputs, "output"));
  if (first) {
    const at = first.reason ?? `${first.got} instead of ${first.want} at ${shape(first.at)}`;
    print(`\nthe first tensor that differs is ${first.tensor}${first.op ? ` (${first.op})` : ""}: ${at}`);
    return;
  }
  if (outputs.every((r) => r.ok))
    print(
      `\nequal within the tolerance${layers.length ? `, and so are ${layers.length} inner tensors` : ""}`,
    );
  else
    print(
      `\nno single layer differs (${layers.length} compared): the difference comes from fused kernels, or from tensors that only one side has`,
    );
}

function rowsOf(rows: readonly Row[], what: string): string {
  if (rows.length === 0) return "";
  const e = (x: number): string => (x === 0 ? "0" : x.toExponential(2));
  return table([
    [what, "operator", "max", "mean", "relative", ""],
    ...rows.map((r) => [
      short(r.tensor),
      r.op ?? "",
      ...(r.reason ? ["", "", ""] : [e(r.max), e(r.mean), e(r.relative)]),
      r.ok ? "ok" : (r.reason ?? "DIFFERS"),
    ]),
  ]);
}

const short = (name: string): string => (name.length > 60 ? `…${name.slice(-59)}` : name);
