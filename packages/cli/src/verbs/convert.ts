// minnow convert: any model that can be read → one .minnow file. The file appears whole or not at all.
import { rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { convert as convertModel, type ConvertEvent } from "minnow/convert";
import { type Args, UsageError, type Verb } from "../args.js";
import { dimsOf, shapeOptions, shapesOf, valuesOf } from "../model_options.js";
import { bytes, ms, print, printJson, Progress, table } from "../output.js";
import { readModel } from "../read_model.js";

const frameworks: Readonly<Record<string, string>> = { tflite: "tflite", onnx: "onnx", minnow: "minnow" };

export const convert: Verb = {
  name: "convert",
  summary: "Convert a TFLite or ONNX model to .minnow.",
  positional: "<model>",
  count: [1, 1],
  options: {
    output: { value: "FILE", short: "o", help: "default: the model's name with .minnow" },
    ...shapeOptions,
    outputs: { value: "A,B", help: "tensors to give instead of the model's outputs" },
    precompile: { help: "bring plans and code: a fast start (default: up to 5 % more)" },
    "no-precompile": { help: "never" },
    "no-optimize": { help: "leave the graph as the source has it" },
    training: { help: "keep what training needs (no folding of batch normalisation)" },
    verbose: { short: "v", help: "tell every pass that changed something" },
    fmk: { value: "FORMAT", help: "MindSpore's: checked against the content", hidden: true },
    optimize: { value: "LEVEL", help: "MindSpore's: none or general", hidden: true },
    fp16: { value: "on|off", help: "MindSpore's", hidden: true },
    trainModel: { value: "true|false", help: "MindSpore's", hidden: true },
    weights: { value: "FILE", help: "MindSpore's", hidden: true },
  },
  examples: ["convert m.onnx -o m.minnow --shape image:1,3,224,224", "convert m.tflite --verbose"],
  async run(args) {
    const progress = Progress.for(args);
    const source = args.positionals[0] as string;
    const out = outputOf(args, source);
    const { optimize, training } = mindspore(args);
    const start = performance.now();
    const data = await readModel(source, progress);
    const events: ConvertEvent[] = [];
    const outputs = args.text("outputs");
    progress.show("converting");
    const file = await convertModel(data, {
      shapes: shapesOf(args),
      dims: dimsOf(args),
      values: valuesOf(args),
      ...(outputs !== undefined && { outputs: outputs.split(",") }),
      ...(!optimize && { optimize: false }),
      ...(training && { training: true }),
      precompile: args.flag("precompile") || (args.flag("no-precompile") || training ? false : "auto"),
      onEvent: (e) => events.push(e),
    });
    checkFormat(args, events);
    await writeWhole(out, file);
    progress.clear();
    report(args, { source, out, from: data.length, to: file.length, ms: performance.now() - start, events });
    return 0;
  },
};

function outputOf(args: Args, source: string): string {
  const given = args.text("output");
  const base = source.replace(/^file:\/\//, "").replace(/[?#].*$/, "");
  const out = given ?? `${base.replace(/\.(tflite|onnx|ort|pb|minnow)$/i, "")}.minnow`;
  const named = /\.\w+$/.test(out) ? out : `${out}.minnow`; // MindSpore's converter adds the ending too
  if (/^https?:/.test(named)) throw new UsageError("give -o: the source is a URL");
  if (resolve(named) === resolve(base)) throw new UsageError(`-o ${named} is the source itself`);
  return named;
}

function mindspore(args: Args): { optimize: boolean; training: boolean } {
  if (args.text("weights"))
    throw new UsageError("--weightFile belongs to Caffe models, which this version does not read");
  if (args.choice("fp16", ["on", "off"]) === "on")
    throw new UsageError("--fp16=on: this version does not store weights as float16");
  const level = args.choice("optimize", ["none", "general", "gpu_oriented", "ascend_oriented"]);
  const training = args.flag("training") || args.choice("trainModel", ["true", "false"]) === "true";
  return { optimize: !args.flag("no-optimize") && level !== "none", training };
}

function checkFormat(args: Args, events: readonly ConvertEvent[]): void {
  const said = args.text("fmk");
  const read = events.find((e) => e.type === "read")?.format;
  if (said !== undefined && read && (frameworks[said.toLowerCase()] ?? said.toLowerCase()) !== read)
    throw new UsageError(`--fmk=${said}, but the file is ${read}`);
}

/** Written beside and renamed: a reader sees the old file or the new one. */
async function writeWhole(path: string, data: Uint8Array): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    await writeFile(part, data);
    await rename(part, path);
  } catch (e) {
    await rm(part, { force: true }).catch(() => {});
    throw new UsageError(`cannot write ${path}: ${e instanceof Error ? e.message : e}`);
  }
}

interface Done {
  readonly source: string;
  readonly out: string;
  readonly from: number;
  readonly to: number;
  readonly ms: number;
  readonly events: readonly ConvertEvent[];
}

function report(args: Args, d: Done): void {
  const nodes = d.events.flatMap((e) => ("nodes" in e ? [e.nodes] : []));
  const ahead = d.events.find((e) => e.type === "precompile");
  const passes = new Map<string, { rewrites: number; ms: number }>();
  for (const e of d.events) {
    if (e.type !== "pass") continue;
    const p = passes.get(e.name) ?? { rewrites: 0, ms: 0 };
    passes.set(e.name, { rewrites: p.rewrites + e.rewrites, ms: p.ms + e.ms });
  }
  if (args.flag("json")) {
    const { source, out: output, from, to } = d;
    printJson({
      ok: true,
      source,
      output,
      source_bytes: from,
      bytes: to,
      ms: d.ms,
      nodes: { source: nodes[0], written: nodes.at(-1) },
      passes: Object.fromEntries(passes),
      ...(ahead && { precompiled: ahead.bytes, ...(ahead.reason && { not_precompiled: ahead.reason }) }),
    });
    return;
  }
  print(
    `${d.out}: ${bytes(d.to)} from ${bytes(d.from)}, ${nodes[0]} operators → ${nodes.at(-1)}, in ${ms(d.ms)}`,
  );
  if (ahead)
    print(ahead.reason ? `not precompiled: ${ahead.reason}` : `plans and code of it: ${bytes(ahead.bytes)}`);
  if (!args.flag("verbose")) return;
  if (passes.size === 0) print("no pass changed anything");
  else
    print(
      table([
        ["pass", "rewrites", "ms"],
        ...[...passes].map(([n, p]) => [n, String(p.rewrites), p.ms.toFixed(1)]),
      ]),
    );
}
