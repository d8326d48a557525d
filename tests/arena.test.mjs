// The planned arena of the five networks of the headline table is within 1.1 × of the bound: the most live
// bytes of the fused program at any step.
import assert from "node:assert/strict";
import { test } from "node:test";
import { names, network } from "../bench/networks.mjs";
import { compile } from "../packages/minnow/dist/compiler/compile.js";
import { toGraph } from "../packages/minnow/dist/convert.js";

for (const name of names)
  test(name, async () => {
    const program = compile(await toGraph(network(name).bytes));
    assert.ok(program.boundBytes > 1e6);
    assert.ok(program.arenaBytes >= program.boundBytes);
    assert.ok(
      program.arenaBytes <= 1.1 * program.boundBytes,
      `${program.arenaBytes} of ${program.boundBytes}`,
    );
    console.log(
      `${name}: arena ${program.arenaBytes}, bound ${program.boundBytes}, ${program.steps.length} steps`,
    );
  });
