// The command line: one table of options a verb, parsed by node:util, with help made from the same
// table. MindSpore's spellings are taken as silent aliases, so that old scripts go on working.
import { parseArgs } from "node:util";

export class UsageError extends Error {}

export interface Option {
  /** Shown in help; absent = a switch. */
  readonly value?: string;
  readonly short?: string;
  readonly many?: boolean;
  readonly help: string;
  /** Not shown. */
  readonly hidden?: boolean;
}

export type Options = Readonly<Record<string, Option>>;

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** "<model> [inputs…]" */
  readonly positional: string;
  /** Fewest and most positionals. */
  readonly count: readonly [number, number];
  readonly options: Options;
  readonly examples: readonly string[];
  run(args: Args): Promise<number>;
}

/** Options that every verb has. */
export const common: Options = {
  json: { help: "print one JSON object" },
  quiet: { short: "q", help: "no progress" },
  help: { short: "h", help: "this text" },
};

/** MindSpore Lite's and TFLite's spellings → ours. "<" = the model's positional. */
const aliases: Readonly<Record<string, string>> = {
  modelFile: "<",
  graph: "<",
  outputFile: "output",
  inputShape: "shape",
  inputShapes: "shape",
  input_layer_shape: "shape",
  inDataFile: "input",
  loopCount: "runs",
  num_runs: "runs",
  warmUpLoopCount: "warmup",
  warmup_runs: "warmup",
  numThreads: "threads",
  num_threads: "threads",
  timeProfiling: "profile",
  perfProfiling: "profile",
  enable_op_profiling: "profile",
  benchmarkDataFile: "goldens",
  accuracyThreshold: "accuracy",
  fmk: "fmk",
  weightFile: "weights",
};

/** MindSpore's converter writes on/off and true/false where we have switches. */
const off = new Set(["off", "false", "0"]);

export class Args {
  constructor(
    readonly positionals: readonly string[],
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  flag(name: string): boolean {
    return this.values[name] === true;
  }
  text(name: string): string | undefined {
    const v = this.values[name];
    return Array.isArray(v) ? (v.at(-1) as string) : (v as string | undefined);
  }
  list(name: string): readonly string[] {
    const v = this.values[name];
    return v === undefined ? [] : Array.isArray(v) ? (v as string[]) : [v as string];
  }
  /** @throws UsageError when it is not a number in range */
  number(name: string, low: number, whole = true): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const n = Number(text);
    if (text.trim() === "" || !Number.isFinite(n) || n < low || (whole && !Number.isInteger(n)))
      throw new UsageError(
        `--${name} is ${JSON.stringify(text)}, not ${whole ? "a whole number" : "a number"} from ${low} up`,
      );
    return n;
  }
  choice<T extends string>(name: string, among: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = among.find((x) => x.toLowerCase() === text.toLowerCase());
    if (found === undefined)
      throw new UsageError(`--${name} is ${JSON.stringify(text)}, not ${among.join(", ")}`);
    return found;
  }
}

/** @throws UsageError */
export function parse(verb: Verb, argv: readonly string[]): Args {
  const options: Options = { ...verb.options, ...common };
  const { args, model } = translate(argv, options);
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      strict: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, o]) => [
          name,
          {
            type: o.value ? ("string" as const) : ("boolean" as const),
            ...(o.short && { short: o.short }),
            ...(o.many && { multiple: true }),
          },
        ]),
      ),
    });
  } catch (e) {
    throw new UsageError(nearer(e instanceof Error ? e.message : String(e), Object.keys(options)));
  }
  const positionals = [...(model === undefined ? [] : [model]), ...parsed.positionals];
  const [least, most] = verb.count;
  if (parsed.values.help !== true && (positionals.length < least || positionals.length > most))
    throw new UsageError(
      positionals.length < least
        ? `${verb.name} needs ${verb.positional}`
        : `${verb.name} takes ${verb.positional}: ${JSON.stringify(positionals[most])} is too much`,
    );
  return new Args(positionals, parsed.values);
}

/** Aliases to our names; the model they name comes apart. */
function translate(argv: readonly string[], options: Options): { args: string[]; model: string | undefined } {
  const args: string[] = [];
  let model: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") return { args: [...args, ...argv.slice(i)], model };
    const m = /^--?([A-Za-z_]\w*)(?:=(.*))?$/s.exec(arg);
    const name = m?.[1] as string;
    const to = m && Object.hasOwn(aliases, name) && !Object.hasOwn(options, name) ? aliases[name] : undefined;
    if (to === undefined) {
      args.push(arg);
      continue;
    }
    const option = to === "<" ? undefined : options[to];
    if (to !== "<" && !option) throw new UsageError(`--${name} has no meaning here`);
    const next = (): string => {
      const value = m?.[2] ?? argv[++i];
      if (value === undefined) throw new UsageError(`--${name} needs a value`);
      return value;
    };
    if (to === "<") model = next();
    else if (option?.value) args.push(`--${to}=${next()}`);
    else if (!off.has((m?.[2] ?? "on").toLowerCase())) args.push(`--${to}`);
  }
  return { args, model };
}

/** parseArgs' message, with the option that may have been meant. */
function nearer(message: string, names: readonly string[]): string {
  const first = (message.split(". ")[0] as string).replace(/\s+/g, " ");
  const wrong = /Unknown option '--?([^']+)'/.exec(message)?.[1];
  const near =
    wrong && names.find((n) => n.startsWith(wrong) || wrong.startsWith(n) || sorted(n) === sorted(wrong));
  return near ? `${first}: did you mean --${near}?` : first;
}
const sorted = (s: string): string => [...s].sort().join("");

export function helpOf(verb: Verb): string {
  const rows = Object.entries({ ...verb.options, ...common })
    .filter(([, o]) => !o.hidden)
    .map(
      ([name, o]) =>
        [`  ${o.short ? `-${o.short}, ` : "    "}--${name}${o.value ? ` ${o.value}` : ""}`, o.help] as const,
    );
  const width = Math.min(34, Math.max(...rows.map(([l]) => l.length)) + 2);
  const lines = rows.map(([left, right]) =>
    left.length < width ? left.padEnd(width) + right : `${left}\n${" ".repeat(width)}${right}`,
  );
  return [
    `${verb.summary}`,
    "",
    `usage: minnow ${verb.name} ${verb.positional} [options]`,
    "",
    ...lines,
    "",
    verb.examples.length > 1 ? "examples:" : "example:",
    ...verb.examples.map((e) => `  minnow ${e}`),
  ].join("\n");
}
