// minnow run: a picture, an array or random numbers in, labels or arrays out.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { load, type ModelOutputs, type TensorSpec, type TensorValue } from "minnow";
import { type Args, UsageError, type Verb } from "../args.js";
import { fileName } from "../goldens.js";
import { ranking, readLabels, realValues } from "../labels.js";
import { loadOptions, loadOptionsOf } from "../model_options.js";
import { writeNpy } from "../npy.js";
import { ms, print, printJson, Progress, shape } from "../output.js";
import { readModel } from "../read_model.js";
import { gatherInputs, inputOptions, type Inputs } from "../values.js";
import { tryWide, wideOptions } from "../wide.js";

export const run: Verb = {
  name: "run",
  summary: "Run a model on pictures, arrays, raw binary or random numbers.",
  positional: "<model> [inputs…]",
  count: [1, 64],
  options: {
    ...inputOptions,
    labels: { value: "FILE", help: "one label a line; default: the model's own" },
    top: { value: "N", help: "best classes to print (default 5)" },
    output: { value: "FILE|DIR", short: "o", help: "write the outputs as .npy" },
    "save-inputs": { help: "with -o DIR: the inputs too, so that compare can use the folder" },
    outputs: { value: "A,B", help: "tensors to give instead of the model's outputs" },
    signature: { value: "NAME", help: "names of this signature" },
    ...loadOptions,
    ...wideOptions,
  },
  examples: [
    "run mobilenet.tflite photo.jpg",
    "run net.onnx photo.png --mean 123.7,116.3,103.5 --std 58.4,57.1,57.4",
    "run net.onnx -i ids=1,2,3 -o out/",
  ],
  async run(args) {
    tryWide(args);
    const progress = Progress.for(args);
    const path = args.positionals[0] as string;
    const outputs = args.text("outputs");
    const labels = args.text("labels");
    const names = labels === undefined ? undefined : await readLabels(labels);
    const start = performance.now();
    const bytes = await readModel(path, progress);
    await using model = await load(bytes, {
      ...loadOptionsOf(args, progress),
      ...(outputs && { outputs: outputs.split(",") }),
    });
    const loaded = performance.now();
    const { inputs, from } = await gatherInputs(
      model,
      [...args.positionals.slice(1), ...args.list("input")],
      args,
    );
    const signature = args.text("signature");
    const before = performance.now();
    const results = await model.run(inputs, { ...(signature !== undefined && { signature }) });
    const runMs = performance.now() - before;
    progress.clear();
    const written = await write(args, results, inputs);
    const top = args.number("top", 0) ?? 5;
    const specs = Object.keys(results).map(
      (name, i) =>
        model.outputs.find((t) => t.name === name || t.aliases.includes(name)) ??
        (model.outputs[i] as TensorSpec),
    );
    const ranked = Object.values(results).map((v, i) =>
      ranking(v, specs[i] as TensorSpec, model.metadata, { labels: names, top }),
    );
    if (args.flag("json"))
      printJson({
        ok: true,
        inputs: from,
        load_ms: loaded - start,
        run_ms: runMs,
        outputs: Object.fromEntries(
          Object.entries(results).map(([name, v], i) => [name, summary(v, specs[i], ranked[i] ?? undefined)]),
        ),
        ...(written.length && { written }),
      });
    else {
      for (const [name, source] of Object.entries(from))
        print(`${name} ${shape(inputs[name]?.shape ?? [])} from ${source}`);
      const { device, notes } = model.report();
      print(`loaded in ${ms(loaded - start)}, ran in ${ms(runMs)} on ${[device, ...notes].join("; ")}\n`);
      for (const [i, [name, v]] of Object.entries(results).entries())
        print(describe(name, v, specs[i], ranked[i] ?? null));
      for (const f of written) print(`wrote ${f}`);
    }
    return 0;
  },
};

const few = 16;

interface Summary {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  readonly data?: ArrayLike<unknown>;
  readonly top?: unknown;
}

function summary(v: TensorValue, spec: TensorSpec | undefined, top: unknown): Summary {
  const { dtype, shape: dims, data } = v;
  if (Array.isArray(data)) return { dtype, shape: dims, data: data.slice(0, 1000) };
  const real = realValues(v, spec);
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const x of real) {
    if (x < min) min = x;
    if (x > max) max = x;
    sum += x;
  }
  const stats = real.length ? { min, max, mean: sum / real.length } : {};
  return {
    dtype,
    shape: dims,
    ...stats,
    ...(data.length <= 1000 && { data }),
    ...(top !== undefined && { top }),
  };
}

function describe(
  name: string,
  v: TensorValue,
  spec: TensorSpec | undefined,
  top: ReturnType<typeof ranking>,
): string {
  const s = summary(v, spec, undefined);
  const n = (x: number | undefined): string => (x === undefined ? "" : String(Number(x.toPrecision(5))));
  const head = `${name}  ${v.dtype} ${shape(v.shape)}`;
  if (top)
    return [
      head,
      ...top.map((r) => `  ${r.score.toFixed(4).padStart(9)}  ${r.label ?? `class ${r.index}`}`),
    ].join("\n");
  if (Array.isArray(v.data)) return `${head}  ${v.data.slice(0, few).join(", ")}`;
  if (v.data.length <= few) return `${head}  ${Array.from(realValues(v, spec), n).join(", ")}`;
  return `${head}  min ${n(s.min)}, max ${n(s.max)}, mean ${n(s.mean)}`;
}

async function write(args: Args, results: ModelOutputs, inputs: Inputs): Promise<string[]> {
  const out = args.text("output");
  if (out === undefined) return [];
  const entries = Object.entries(results);
  if (out.endsWith(".npy")) {
    if (entries.length > 1)
      throw new UsageError(`the model has ${entries.length} outputs: give a folder to -o`);
    await mkdir(dirname(out), { recursive: true });
    await writeFile(out, writeNpy(entries[0]?.[1] as TensorValue));
    return [out];
  }
  await mkdir(out, { recursive: true });
  const written: string[] = [];
  const save = async (name: string, v: TensorValue): Promise<void> => {
    const file = join(out, `${fileName(name)}.npy`);
    await writeFile(file, writeNpy(v));
    written.push(file);
  };
  for (const [name, v] of entries) await save(name, v);
  if (args.flag("save-inputs"))
    for (const [name, v] of Object.entries(inputs))
      await save(name, { data: v.data as TensorValue["data"], shape: v.shape, dtype: dtypeOf(v.data) });
  return written;
}

function dtypeOf(data: Inputs[string]["data"]): TensorValue["dtype"] {
  const name = data.constructor.name.toLowerCase();
  return name === "array"
    ? "string"
    : name.startsWith("bigint")
      ? "int64"
      : (name.replace("array", "") as TensorValue["dtype"]);
}
