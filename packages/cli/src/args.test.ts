// Command lines as people (and MindSpore's scripts) write them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { helpOf, parse, UsageError, type Verb } from "./args.js";
import { dimsOf, loadOptionsOf, shapesOf } from "./model_options.js";
import { bench } from "./verbs/bench.js";
import { check } from "./verbs/check.js";
import { compare } from "./verbs/compare.js";
import { convert } from "./verbs/convert.js";
import { info } from "./verbs/info.js";
import { run } from "./verbs/run.js";

const wrong = (verb: Verb, line: string, message: RegExp): void =>
  assert.throws(
    () => parse(verb, line.split(" ").filter(Boolean)),
    (e: unknown) => e instanceof UsageError && message.test(e.message),
  );

test("MindSpore's and TFLite's spellings are aliases", () => {
  const a = parse(convert, [
    "--fmk=ONNX",
    "--modelFile=m.onnx",
    "--outputFile",
    "m",
    "--inputShape=a:1,3,224,224;b:1,8",
    "--fp16=off",
  ]);
  assert.deepEqual(a.positionals, ["m.onnx"]);
  assert.equal(a.text("output"), "m");
  assert.deepEqual(shapesOf(a), { a: [1, 3, 224, 224], b: [1, 8] });
  const b = parse(bench, [
    "--modelFile=m.ms",
    "--loopCount=10",
    "--warmUpLoopCount=3",
    "--numThreads=2",
    "--timeProfiling=true",
    "--inDataFile=x.bin",
  ]);
  assert.deepEqual(
    [b.number("runs", 1), b.number("warmup", 0), b.flag("profile"), b.list("input")],
    [10, 3, true, ["x.bin"]],
  );
  assert.equal(loadOptionsOf(b).threads, 2);
  assert.equal(parse(bench, ["m", "--timeProfiling=false"]).flag("profile"), false);
  const c = parse(compare, ["--modelFile=m.onnx", "--benchmarkDataFile=dir", "--accuracyThreshold=0.5"]);
  assert.deepEqual([c.positionals, c.text("goldens"), c.text("accuracy")], [["m.onnx"], "dir", "0.5"]);
  const d = parse(bench, ["--graph=m.tflite", "--num_runs=5"]);
  assert.deepEqual([d.positionals, d.text("runs")], [["m.tflite"], "5"]);
});

test("shapes, dimensions and load options", () => {
  const a = parse(run, [
    "m",
    "x.jpg",
    "--shape",
    "in:0:1,2,3",
    "--shape=b:4",
    "--dim",
    "batch=2,seq=8",
    "--device",
    "NPU, cpu",
    "--max-memory",
    "64",
  ]);
  assert.deepEqual(shapesOf(a), { "in:0": [1, 2, 3], b: [4] });
  assert.deepEqual(dimsOf(a), { batch: 2, seq: 8 });
  const { device, maxMemory } = loadOptionsOf(a);
  assert.deepEqual([device, maxMemory], [["npu", "cpu"], 64 * 2 ** 20]);
  assert.throws(() => shapesOf(parse(run, ["m", "--shape", "1,2,3"])), UsageError);
  assert.throws(() => dimsOf(parse(run, ["m", "--dim", "batch"])), UsageError);
});

test("mistakes are named", () => {
  wrong(run, "m --lables x", /Unknown option '--lables': did you mean --labels\?/);
  wrong(convert, "", /convert needs <model>/);
  wrong(convert, "a b", /"b" is too much/);
  wrong(info, "m --outputFile x", /--outputFile has no meaning here/);
  assert.throws(
    () => parse(bench, ["m", "--runs", "none"]).number("runs", 1),
    /--runs is "none", not a whole number from 1 up/,
  );
  assert.throws(() => parse(run, ["m", "--fit", "zoom"]).choice("fit", ["stretch"]), /not stretch/);
});

test("the help of every verb shows its options and an example", () => {
  for (const verb of [check, convert, info, run, bench, compare]) {
    const help = helpOf(verb);
    assert.match(help, new RegExp(`usage: minnow ${verb.name} `));
    assert.match(help, new RegExp(`examples?:\\n {2}minnow ${verb.name} `));
    assert.match(help, /--json/);
    for (const line of help.split("\n")) assert.ok(line.length <= 110, line);
    assert.doesNotMatch(help, /fmk/);
  }
});
