// The features met in the wild (shared/testdata/tflite-features: LiteRT's own answers): each model that
// reads gives them on the reference target, each other one names what stops it.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import type { DType } from "../../graph/dtype.js";
import { arrayFromBytes } from "../../graph/dtype.js";
import type { Graph } from "../../graph/graph.js";
import { evaluate } from "../../targets/reference/index.js";
import { needs, readBytes, shared } from "../testdata.test.helper.js";
import { readTflite } from "./reader.js";

interface Port {
  name: string;
  shape: number[];
  dtype: DType;
  file: string;
}
interface Golden {
  inputs: Port[];
  outputs: Port[];
  steps?: unknown;
  signature?: string;
  tolerance?: { rel?: number; abs?: number; share?: number };
}

/** Operators and types that stop a model here, as the file spells them. */
const missing = new RegExp(
  "int8 activations|WHILE|CALL_ONCE|VAR_HANDLE|RFFT2D|CONV_3D|NON_MAX_SUPPRESSION|DYNAMIC_UPDATE_SLICE|" +
    "SEGMENT_SUM|RIGHT_SHIFT|BITWISE_XOR|int16|INT2|dynamic-range",
);

function check(graph: Graph, folder: string, golden: Golden): void {
  const read = (p: Port) => ({
    data: arrayFromBytes(p.dtype, readBytes(`${folder}/${p.file}`)) as ArrayLike<number | bigint>,
    shape: p.shape,
  });
  const named = (ports: Graph["inputs"], p: Port, i: number) =>
    ports.find((t) => t.name === p.name) ?? ports[i] ?? assert.fail(p.name);
  const given = Object.fromEntries(golden.inputs.map((p, i) => [named(graph.inputs, p, i).name, read(p)]));
  const values = evaluate(graph, given);
  golden.outputs.forEach((p, i) => {
    const got = values.get(named(graph.outputs, p, i)) ?? assert.fail(p.name);
    assert.deepEqual([got.dtype, got.shape], [p.dtype, p.shape], p.name);
    const want = Array.from(read(p).data, Number);
    const peak = Math.max(0, ...want.filter(Number.isFinite).map(Math.abs));
    const { rel = 1e-4, abs, share = p.dtype === "float32" ? 1 : 0.99 } = golden.tolerance ?? {};
    const limit = p.dtype === "float32" ? Math.max(rel * peak, abs ?? 1e-5) : 1;
    const near = want.filter(
      (v, k) => Object.is(v, got.data[k]) || Math.abs(v - (got.data[k] as number)) <= limit,
    ).length;
    assert.ok(near >= share * want.length, `${p.name}: ${near} of ${want.length} within ${limit}`);
  });
}

test("features met in the wild", needs("tflite-features"), async (t) => {
  const root = shared("tflite-features") as string;
  let ran = 0;
  for (const name of readdirSync(`${root}/golden`)) {
    const folder = `${root}/golden/${name}`;
    const golden = JSON.parse(new TextDecoder().decode(readBytes(`${folder}/meta.json`))) as Golden;
    let graph: Graph;
    try {
      graph = readTflite(readBytes(`${root}/models/${name.replace(/@.*/, "")}`));
    } catch (e) {
      assert.ok(
        e instanceof ModelError && e.code === "unsupported" && missing.test(e.message),
        `${name}: ${e}`,
      );
      continue;
    }
    if (golden.steps || golden.signature) continue;
    ran++;
    await t.test(name, () => check(graph, folder, golden));
  }
  assert.ok(ran >= 26, `only ${ran} ran`);
});
