// Class labels out of ONNX metadata. There is no standard: the spellings met in the wild are a JSON list
// or object, a Python dict (Ultralytics: "{0: 'person', 1: 'bicycle'}"), and names split by lines or commas.
import type { Shape } from "../../graph/dim.js";
import type { Pair } from "./proto.js";

const keys = /^(class_?)?(names|labels)$|^classes$|^class_?list$/i;

/** The labels a model carries, in class order; undefined where there are none. */
export function labelsOf(props: readonly Pair[]): readonly string[] | undefined {
  for (const { key = "", value = "" } of props) {
    if (!keys.test(key) || value.length > 1 << 20) continue;
    const labels = parseLabels(value.trim());
    if (labels && labels.length > 1) return labels;
  }
  return undefined;
}

export function parseLabels(value: string): string[] | undefined {
  if (value.startsWith("[") || value.startsWith("{")) return fromJson(value) ?? fromPython(value);
  const parts = value.split(/\r?\n/).length > 1 ? value.split(/\r?\n/) : value.split(",");
  return parts.map((s) => s.trim()).filter((s) => s !== "");
}

function fromJson(value: string): string[] | undefined {
  try {
    const v: unknown = JSON.parse(value);
    const list = Array.isArray(v) ? v : numbered(Object.entries(v as Record<string, unknown>));
    return list?.every((s) => typeof s === "string") ? (list as string[]) : undefined;
  } catch {
    return undefined;
  }
}

/** Python's repr of a dict of int → str, or of a list of str. */
function fromPython(value: string): string[] | undefined {
  const item = /\s*(?:(\d+)\s*:\s*)?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|[\]}]\s*$)/y;
  item.lastIndex = 1;
  const entries: [string, unknown][] = [];
  while (item.lastIndex < value.length) {
    const m = item.exec(value);
    if (!m) return undefined;
    entries.push([m[1] ?? String(entries.length), (m[2] ?? m[3] ?? "").replace(/\\(.)/g, "$1")]);
  }
  return numbered(entries) as string[] | undefined;
}

/** Values in order of their keys, where these are 0…n−1. */
function numbered(entries: [string, unknown][]): unknown[] | undefined {
  const list = new Array<unknown>(entries.length).fill(undefined);
  for (const [k, v] of entries) {
    const i = Number(k);
    if (!Number.isInteger(i) || i < 0 || i >= list.length || list[i] !== undefined) return undefined;
    list[i] = v;
  }
  return list;
}

/** The output whose last dimensions count as many classes; else the only one. */
export function labelledOutput(
  outputs: readonly { name: string; shape: Shape }[],
  n: number,
): string | undefined {
  const fits = outputs.find((t) => t.shape.includes(n)) ?? (outputs.length === 1 ? outputs[0] : undefined);
  return fits?.name;
}
