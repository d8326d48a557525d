// minnow info: what is in a model: inputs, outputs, parameters, multiply-adds, operators, memory.
import { load } from "minnow";
import { print as printGraph, toGraph } from "minnow/convert";
import type { Verb } from "../args.js";
import { dimsOf, loadOptions, loadOptionsOf, shapesOf, valuesOf } from "../model_options.js";
import { bytes, counted, list, memoryText, print, printJson, Progress, shape, table } from "../output.js";
import { readModel } from "../read_model.js";

export const info: Verb = {
  name: "info",
  summary: "Print a model's graph, shapes, parameters, MACs, memory and operators.",
  positional: "<model>",
  count: [1, 1],
  options: {
    graph: { short: "g", help: "print the graph, operator by operator" },
    memory: { short: "m", help: "print the plan of the arena: who lies where, and when" },
    source: { help: "the graph as the file has it, not optimised" },
    ...loadOptions,
  },
  examples: ["info m.tflite", "info m.onnx --shape x:1,3,320,320 --memory", "info m.minnow --graph"],
  async run(args) {
    const progress = Progress.for(args);
    const path = args.positionals[0] as string;
    const data = await readModel(path, progress);
    const fileBytes = data.length; // load() gives a .minnow file's bytes back
    const graph = toGraph(data, {
      shapes: shapesOf(args),
      dims: dimsOf(args),
      values: valuesOf(args),
      ...(args.flag("source") && { optimize: false }),
    });
    const constants = new Set(graph.nodes.flatMap((n) => n.inputs.filter((t) => t?.kind === "constant")));
    let parameters = 0;
    let weightBytes = 0;
    for (const t of constants) {
      if (!t?.data) continue;
      parameters += t.shape.reduce<number>((a, d) => a * (d as number), 1);
      weightBytes += t.data.byteLength;
    }
    const operators: Record<string, number> = {};
    for (const n of graph.nodes) operators[n.op] = (operators[n.op] ?? 0) + 1;
    progress.show("planning");
    await using model = await load(data, loadOptionsOf(args));
    const report = model.report();
    progress.clear();
    const planned = report.operators.length > 0;
    const macs = report.operators.reduce((a, o) => a + o.macs, 0);
    const { format, producer, description, passes = {} } = graph.meta;
    if (args.flag("json")) {
      const { memory, arena, fusions, notes, threads } = report;
      printJson({
        ok: true,
        model: path,
        format,
        producer,
        description,
        bytes: fileBytes,
        inputs: model.inputs,
        outputs: model.outputs,
        parameters,
        weight_bytes: weightBytes,
        operators,
        nodes: graph.nodes.length,
        passes,
        ...(planned && {
          macs,
          memory,
          arena: args.flag("memory") ? arena : { bytes: arena.bytes, bound: arena.bound },
          fusions,
        }),
        notes,
        threads,
        metadata: graph.meta,
        ...(args.flag("graph") && { graph: printGraph(graph) }),
      });
      return 0;
    }
    const rows = [
      ["format", [format, producer].filter(Boolean).join(", ")],
      ["file", bytes(fileBytes)],
      ...model.inputs.map((t) => [
        "input",
        `${t.name}  ${t.dtype} ${shape(t.shape)}${quant(t.quantization)}`,
      ]),
      ...model.outputs.map((t) => [
        "output",
        `${t.name}  ${t.dtype} ${shape(t.shape)}${quant(t.quantization)}`,
      ]),
      ["parameters", `${counted(parameters)} in ${bytes(weightBytes)}`],
      [
        "operators",
        `${graph.nodes.length}: ${list(Object.fromEntries(Object.entries(operators).sort((a, b) => b[1] - a[1])))}`,
      ],
    ];
    if (Object.keys(passes).length) rows.push(["passes", list(passes)]);
    if (planned) {
      rows.push(["MACs", counted(macs)]);
      rows.push(["fusion", list(report.fusions)]);
      rows.push(["memory", memoryText(report.memory, report.arena.bound)]);
    } else rows.push(["memory", "known once --shape or --dim bind the free dimensions"]);
    for (const [name, labels] of Object.entries(graph.meta.labels ?? {}))
      rows.push(["labels", `${labels.length} for ${name}: ${labels.slice(0, 4).join(", ")}, …`]);
    for (const n of report.notes) rows.push(["note", n]);
    print(table(rows, ""));
    if (args.flag("graph")) print(`\n${printGraph(graph)}`);
    if (args.flag("memory") && planned) print(`\n${arenaTable(report.arena)}`);
    return 0;
  },
};

const quant = (q: { scale: readonly number[]; zeroPoint: readonly number[] } | undefined): string =>
  !q
    ? ""
    : q.scale.length > 1
      ? `, ${q.scale.length} scales`
      : `, real = ${Number((q.scale[0] as number).toPrecision(6))} · (q − ${q.zeroPoint[0]})`;

/** Buffers by offset, with a picture of their lives. */
function arenaTable(arena: {
  bytes: number;
  bound: number;
  buffers: readonly { label: string; offset: number; bytes: number; first: number; last: number }[];
}): string {
  const end = Math.max(1, ...arena.buffers.map((b) => b.last));
  const width = Math.min(48, end + 1);
  const column = (step: number): number => Math.round((Math.max(0, step) / end) * (width - 1));
  const life = (b: { first: number; last: number }): string =>
    Array.from({ length: width }, (_, i) => (i >= column(b.first) && i <= column(b.last) ? "█" : "·")).join(
      "",
    );
  const rows = [...arena.buffers]
    .sort((a, b) => a.offset - b.offset || a.first - b.first)
    .map((b) => [
      String(b.offset),
      String(b.bytes),
      `${b.first}…${b.last}`,
      life(b),
      b.label.length > 60 ? `…${b.label.slice(-59)}` : b.label,
    ]);
  const over = arena.bound
    ? ` (${(arena.bytes / arena.bound).toFixed(3)} × the most that is alive at once)`
    : "";
  return `arena of ${bytes(arena.bytes)}${over}\n${table([["offset", "bytes", "steps", "life", "tensor"], ...rows])}`;
}
