// Scores as people read them: labels from the model or a file, quantised scores as real numbers.
import { readFile } from "node:fs/promises";
import type { Metadata, TensorSpec, TensorValue } from "minnow";
import { type Ranked, topK } from "minnow/image";
import { UsageError } from "./args.js";

/** One label a line. */
export async function readLabels(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch(() => {
    throw new UsageError(`cannot read the labels ${path}`);
  });
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/** Stored integers as real = scale · (q − zeroPoint); others as they are. Numbers only. */
export function realValues({ data }: TensorValue, spec: TensorSpec | undefined): Float64Array | Float32Array {
  if (data instanceof Float32Array) return data;
  const q = spec?.quantization;
  const scale = q?.scale.length === 1 ? (q.scale[0] as number) : 1;
  const zero = q?.scale.length === 1 ? (q.zeroPoint[0] as number) : 0;
  return Float64Array.from(data as ArrayLike<number>, (x) => scale * (Number(x) - zero));
}

/** The best classes, when the output is one list of scores; null when it is something else. */
export function ranking(
  value: TensorValue,
  spec: TensorSpec,
  metadata: Metadata,
  { labels, top }: { labels?: readonly string[] | undefined; top: number },
): Ranked[] | null {
  const n = value.data.length;
  const list = Math.max(0, ...value.shape) === n && n > 1 && typeof value.data[0] !== "string";
  let names = labels ?? metadata.labels?.[spec.name];
  if (names && names.length === n - 1) names = ["background", ...names];
  const named = names !== undefined && names.length >= n && n > 1;
  if (!list || top < 1 || (!named && n < 10)) return null;
  return topK(realValues(value, spec), top, named ? names : undefined);
}
