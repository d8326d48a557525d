// Options that several verbs share, and how they become options of load().
import type { LoadOptions } from "minnow";
import { type Args, type Options, UsageError } from "./args.js";
import type { Progress } from "./output.js";

export const shapeOptions: Options = {
  shape: { value: "NAME:1,3,224,224", many: true, help: "fix the shape of an input (several: ; or repeat)" },
  dim: { value: "NAME=N", many: true, help: "fix a free dimension" },
  value: { value: "NAME=V,…", many: true, help: "fix an input: one number for all of it, or each" },
};

export const loadOptions: Options = {
  ...shapeOptions,
  device: { value: "LIST", help: "wished devices in order: cpu (default), reference" },
  threads: { value: "N", help: "wished threads" },
  "max-memory": { value: "MB", help: "refuse models that need more (default 2048)" },
  small: { help: "no weights grow for speed's sake" },
  deterministic: { help: "the same bits on every engine (no fused multiply-add)" },
};

/** "a:1,2;b:3" and repeated options; a name may hold colons, the last one counts. */
export function shapesOf(args: Args): Record<string, number[]> {
  const out: Record<string, number[]> = {};
  for (const text of args
    .list("shape")
    .flatMap((s) => s.split(";"))
    .filter(Boolean)) {
    const m = /^(.+):(\d+(?:[,x]\d+)*|)$/.exec(text.trim());
    if (!m) throw new UsageError(`--shape ${JSON.stringify(text)} is not NAME:1,2,3`);
    out[m[1] as string] = m[2] ? (m[2] as string).split(/[,x]/).map(Number) : [];
  }
  return out;
}

export function dimsOf(args: Args): Record<string, number> {
  const out: Record<string, number> = {};
  for (const text of args
    .list("dim")
    .flatMap((s) => s.split(/[,;]/))
    .filter(Boolean)) {
    const m = /^(.+)[=:](\d+)$/.exec(text.trim());
    if (!m) throw new UsageError(`--dim ${JSON.stringify(text)} is not NAME=N`);
    out[m[1] as string] = Number(m[2]);
  }
  return out;
}

export function valuesOf(args: Args): Record<string, number[]> {
  const out: Record<string, number[]> = {};
  for (const text of args.list("value")) {
    const [, name, list] = /^(.+)=(.+)$/.exec(text.trim()) ?? [];
    const numbers = list?.split(",").map(Number);
    if (!name || !numbers || numbers.some(Number.isNaN))
      throw new UsageError(`--value ${JSON.stringify(text)} is not NAME=1,2,3`);
    out[name] = numbers;
  }
  return out;
}

export function loadOptionsOf(args: Args, progress?: Progress): LoadOptions {
  const shapes = shapesOf(args);
  const dims = dimsOf(args);
  const values = valuesOf(args);
  const device = args.text("device");
  const threads = args.number("threads", 1);
  const memory = args.number("max-memory", 1, false);
  return {
    ...(Object.keys(shapes).length && { shapes }),
    ...(Object.keys(dims).length && { dims }),
    ...(Object.keys(values).length && { values }),
    ...(device !== undefined && { device: device.split(",").map((d) => d.trim().toLowerCase()) }),
    ...(threads !== undefined && { threads }),
    ...(memory !== undefined && { maxMemory: memory * 2 ** 20 }),
    ...(args.flag("small") && { memory: "small" as const }),
    ...(args.flag("deterministic") && { deterministic: true }),
    ...(progress && {
      onProgress: (p) =>
        progress.bar(
          p.phase === "read" ? "reading" : `${p.phase}`,
          p.phase === "read" ? p.loaded : 0,
          p.phase === "read" ? p.total : 0,
        ),
    }),
  };
}
