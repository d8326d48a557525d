// Metadata of a .minnow file is JSON in a string: nothing that runs depends on it, every tool can read
// it, and later fields need no new schema. What does not have the expected form is left out.
import type { Metadata } from "../../graph/graph.js";

type Check = (v: unknown) => boolean;

const isString: Check = (v) => typeof v === "string";
const isNumber: Check = (v) => typeof v === "number";
const isArrayOf =
  (check: Check): Check =>
  (v) =>
    Array.isArray(v) && v.every(check);
const isObject = (v: unknown): v is Record<string, unknown> =>
  typeof v === "object" && v !== null && !Array.isArray(v);
const isRecordOf =
  (check: Check): Check =>
  (v) =>
    isObject(v) && Object.values(v).every(check);
const has =
  (...parts: [string, Check][]): Check =>
  (v) =>
    isObject(v) && parts.every(([key, check]) => check(v[key]));

const checks: Record<keyof Metadata, Check> = {
  format: isString,
  producer: isString,
  description: isString,
  labels: isRecordOf(isArrayOf(isString)),
  normalization: isRecordOf(has(["mean", isArrayOf(isNumber)], ["std", isArrayOf(isNumber)])),
  layout: (v) => v === "NCHW" || v === "NHWC",
  signatures: isRecordOf(has(["inputs", isRecordOf(isString)], ["outputs", isRecordOf(isString)])),
  passes: isRecordOf(isNumber),
};

export function readMeta(json: string | undefined): Metadata {
  const meta: Record<string, unknown> = {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(json ?? "{}");
  } catch {
    return {};
  }
  if (isObject(parsed))
    for (const [key, value] of Object.entries(parsed))
      if (Object.hasOwn(checks, key) && checks[key as keyof Metadata](value)) meta[key] = value;
  return meta;
}
