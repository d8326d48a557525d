// minnow bench: how long loading, compiling, the first and the later runs take, and in how much memory.
import { load, type ModelEvent, type Profile, type Report } from "minnow";
import type { Args, Verb } from "../args.js";
import { loadOptions, loadOptionsOf } from "../model_options.js";
import { bytes, memoryText, ms, print, printJson, Progress, shape, table } from "../output.js";
import { readModel } from "../read_model.js";
import { gatherInputs, inputOptions } from "../values.js";
import { tryWide, wideOptions } from "../wide.js";

export const bench: Verb = {
  name: "bench",
  summary: "Time a model: load, compile, first and steady runs, by operator with --profile; and its memory.",
  positional: "<model> [inputs…]",
  count: [1, 64],
  options: {
    runs: { value: "N", short: "n", help: "timed runs (default 50, fewer when one takes long)" },
    warmup: { value: "N", help: "runs before (default 5)" },
    "max-time": { value: "S", help: "seconds after which no more runs start (default 20)" },
    profile: { short: "p", help: "time and share of every operator" },
    ...inputOptions,
    ...loadOptions,
    ...wideOptions,
  },
  examples: [
    "bench m.minnow",
    "bench m.onnx --shape x:1,3,320,320 --runs 100 --profile",
    "bench m.tflite --json > before.json",
  ],
  async run(args) {
    tryWide(args);
    const progress = Progress.for(args);
    const path = args.positionals[0] as string;
    const data = await readModel(path, progress);
    let compileMs = 0;
    const onEvent = (e: ModelEvent): void => {
      if (e.type === "compile") compileMs += e.ms;
    };
    const idle = process.memoryUsage.rss();
    const start = performance.now();
    await using model = await load(data, { ...loadOptionsOf(args, progress), onEvent });
    const loadMs = performance.now() - start;
    const { inputs } = await gatherInputs(model, [...args.positionals.slice(1), ...args.list("input")], args);
    const first = await timed(() => model.run(inputs));
    const warmup = args.number("warmup", 0) ?? 5;
    const wanted = args.number("runs", 1) ?? 50;
    const until = performance.now() + 1000 * (args.number("max-time", 0, false) ?? 20);
    for (let i = 0; i < warmup && performance.now() < until; i++) await model.run(inputs);
    const times: number[] = [];
    while (times.length < wanted && (times.length < 3 || performance.now() < until)) {
      times.push(await timed(() => model.run(inputs)));
      progress.bar("running", times.length, wanted);
    }
    const peak = process.resourceUsage().maxRSS * 1024;
    const profile = args.flag("profile")
      ? await model.profile(inputs, { runs: Math.min(20, times.length) })
      : undefined;
    progress.clear();
    const report = model.report();
    const macs = report.operators.reduce((a, o) => a + o.macs, 0);
    const steady = statistics(times);
    const result = {
      ok: true,
      model: path,
      engine: `Node ${process.versions.node}, V8 ${process.versions.v8}, ${process.arch}`,
      device: report.device,
      shapes: report.shapes,
      load_ms: loadMs,
      compile_ms: compileMs,
      first_ms: first,
      steady_ms: steady,
      runs: times.length,
      macs,
      gflops: steady.median > 0 ? (2 * macs) / steady.median / 1e6 : 0,
      memory: { model: report.memory, rss_peak: peak, rss_idle: idle },
      notes: report.notes,
      ...(profile && { profile: { ...profile } }),
    };
    if (args.flag("json")) printJson(result);
    else show(args, result, profile);
    return 0;
  },
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

interface Statistics {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly p95: number;
}

export function statistics(times: readonly number[]): Statistics {
  const s = [...times].sort((a, b) => a - b);
  const at = (q: number): number => s[Math.min(s.length - 1, Math.ceil(q * s.length) - 1)] as number;
  const middle = s.length >> 1;
  const median =
    s.length % 2 ? (s[middle] as number) : ((s[middle - 1] as number) + (s[middle] as number)) / 2;
  return { median, min: s[0] as number, max: s.at(-1) as number, p95: at(0.95) };
}

type Result = {
  engine: string;
  device: string;
  shapes: Record<string, readonly number[]>;
  load_ms: number;
  compile_ms: number;
  first_ms: number;
  steady_ms: Statistics;
  runs: number;
  gflops: number;
  notes: readonly string[];
  memory: {
    model: Report["memory"];
    rss_peak: number;
    rss_idle: number;
  };
};

function show(_args: Args, r: Result, profile: Profile | undefined): void {
  const m = r.memory.model;
  const s = r.steady_ms;
  if (profile) print(`${profile}\n`);
  print(
    table(
      [
        ["engine", `${r.engine}; ${r.device}, one thread`],
        [
          "shapes",
          Object.entries(r.shapes)
            .map(([n, d]) => `${n} ${shape(d)}`)
            .join(", "),
        ],
        ["load", `${ms(r.load_ms)}, of which compiling ${ms(r.compile_ms)}`],
        ["first run", ms(r.first_ms)],
        [
          "steady",
          `median ${ms(s.median)}, min ${ms(s.min)}, max ${ms(s.max)}, p95 ${ms(s.p95)} (${r.runs} runs)${r.gflops ? `, ${r.gflops.toFixed(1)} GFLOPS` : ""}`,
        ],
        ["memory", memoryText(m)],
        ["process", `peak ${bytes(r.memory.rss_peak)}, ${bytes(r.memory.rss_idle)} before loading`],
        ...r.notes.map((n) => ["note", n]),
      ],
      "",
    ),
  );
}
