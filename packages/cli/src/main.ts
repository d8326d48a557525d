// The minnow command: finds the verb, parses its options, and turns whatever goes wrong into one clear
// message and an exit status: 1 = the verb failed or found a difference, 2 = the command line is wrong.
import { readFileSync } from "node:fs";
import { ModelError } from "minnow";
import { helpOf, parse, UsageError, type Verb } from "./args.js";
import { print, printJson } from "./output.js";
import { bench } from "./verbs/bench.js";
import { check } from "./verbs/check.js";
import { compare } from "./verbs/compare.js";
import { convert } from "./verbs/convert.js";
import { info } from "./verbs/info.js";
import { run } from "./verbs/run.js";

// A reader that has seen enough (`minnow … | head`) is no failure.
process.stdout.on("error", (e: NodeJS.ErrnoException) => {
  if (e.code === "EPIPE") process.exit(0);
  throw e;
});

const verbs: readonly Verb[] = [check, convert, info, run, bench, compare];

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string })
    .version;

function overview(): string {
  const width = Math.max(...verbs.map((v) => v.name.length)) + 2;
  return [
    "minnow: neural networks where the data is",
    "",
    "usage: minnow <verb> …",
    "",
    ...verbs.map((v) => `  ${v.name.padEnd(width)}${v.summary}`),
    "",
    "minnow <verb> --help tells its options and shows examples.",
  ].join("\n");
}

/** Runs one command line; the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  const json = argv.includes("--json");
  try {
    if (name === undefined || name === "help" || name === "--help" || name === "-h") {
      const verb = verbs.find((v) => v.name === rest[0]);
      print(verb ? helpOf(verb) : overview());
      return name === undefined ? 2 : 0;
    }
    if (name === "--version" || name === "-v") {
      print(version());
      return 0;
    }
    const verb = verbs.find((v) => v.name === name);
    if (!verb)
      throw new UsageError(
        `there is no verb ${JSON.stringify(name)}: ${verbs.map((v) => v.name).join(", ")}`,
      );
    const args = parse(verb, rest);
    if (args.flag("help")) {
      print(helpOf(verb));
      return 0;
    }
    return await verb.run(args);
  } catch (e) {
    return fail(e, json);
  }
}

function fail(e: unknown, json: boolean): number {
  const usage = e instanceof UsageError;
  if (!usage && !(e instanceof ModelError) && !(e instanceof Error && "code" in e))
    process.stderr.write(`${e instanceof Error ? e.stack : e}\n`);
  const message = e instanceof Error ? e.message : String(e);
  if (json) {
    const { code, op, tensor, hint, problems } = (
      e instanceof ModelError ? e : { code: usage ? "usage" : "internal" }
    ) as Partial<ModelError>;
    printJson({ ok: false, error: { code, message, op, tensor, hint, problems } });
  } else {
    process.stderr.write(`minnow: ${message}\n`);
    if (e instanceof ModelError && e.problems?.length && !message.includes(e.problems[0]?.reason ?? ""))
      for (const p of e.problems)
        process.stderr.write(`  ${p.op} ${p.node}: ${p.reason}${p.hint ? ` (${p.hint})` : ""}\n`);
    if (usage) process.stderr.write("see minnow --help\n");
  }
  return usage ? 2 : 1;
}
