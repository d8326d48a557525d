// minnow check: can this model run, and if not, what is missing: everything at once, before anything
// runs.
import { load, ModelError, type Problem } from "minnow";
import { read } from "minnow/convert";
import type { Verb } from "../args.js";
import { loadOptions, loadOptionsOf } from "../model_options.js";
import { bytes, list, print, printJson, Progress, shape, table } from "../output.js";
import { readModel } from "../read_model.js";

interface OperatorRow {
  readonly op: string;
  readonly count: number;
  readonly supported: boolean;
  readonly kernels?: string;
  readonly reason?: string;
}

export const check: Verb = {
  name: "check",
  summary: "Tell whether a model runs: every operator, where, and if not, why.",
  positional: "<model>",
  count: [1, 1],
  options: loadOptions,
  examples: ["check m.onnx", "check m.onnx --dim batch=1 --json"],
  async run(args) {
    const progress = Progress.for(args);
    const path = args.positionals[0] as string;
    const data = await readModel(path, progress);
    const problems: Problem[] = [];
    const rows: OperatorRow[] = [];
    let format = "";
    let error: ModelError | undefined;
    let remark = "";
    try {
      const graph = read(data);
      format = graph.meta.format ?? "";
      const counts = new Map<string, number>();
      for (const n of graph.nodes) counts.set(n.op, (counts.get(n.op) ?? 0) + 1);
      progress.show("planning");
      await using model = await load(data, loadOptionsOf(args));
      const report = model.report();
      const free = [...new Set(model.inputs.flatMap((t) => t.shape.filter((d) => typeof d === "string")))];
      if (report.operators.length === 0)
        remark = `dimensions ${free.join(", ")} are free: give --shape or --dim to have the plan checked too`;
      else
        remark = `planned for ${Object.entries(report.shapes)
          .map(([n, s]) => `${n} ${shape(s)}`)
          .join(", ")}: ${bytes(report.memory.total)} on ${report.device}`;
      const kernels = new Map(report.operators.map((o) => [o.op, list(o.kernels)]));
      for (const [op, count] of [...counts].sort((a, b) => b[1] - a[1]))
        rows.push({
          op,
          count,
          supported: true,
          ...(kernels.has(op) && { kernels: kernels.get(op) as string }),
        });
    } catch (e) {
      if (!(e instanceof ModelError)) throw e;
      error = e;
      problems.push(
        ...(e.problems ?? [
          { op: e.op ?? "", node: e.tensor ?? "", reason: e.message, ...(e.hint && { hint: e.hint }) },
        ]),
      );
    }
    progress.clear();
    const ok = error === undefined;
    if (args.flag("json")) {
      printJson({
        ok,
        model: path,
        format,
        operators: rows,
        problems,
        ...(error && { error: { code: error.code, message: error.message } }),
        ...(remark && { remark }),
      });
      return ok ? 0 : 1;
    }
    if (ok) {
      print(
        table([
          ["operator", "count", "cpu", "kernels"],
          ...rows.map((r) => [
            r.op,
            String(r.count),
            "yes",
            r.kernels ?? (remark.startsWith("planned") ? "fused or without copy" : ""),
          ]),
        ]),
      );
      print(`\n${path} runs. ${remark}`);
      return 0;
    }
    print(`${path} does not run (${error?.code}):`);
    print(
      table([
        ["operator", "where", "why", "what to do"],
        ...problems.map((p) => [p.op, p.node, p.reason, p.hint ?? ""]),
      ]),
    );
    return 1;
  },
};
