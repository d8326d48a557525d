import assert from "node:assert/strict";
import { test } from "node:test";
import type { Graph } from "../graph/graph.js";
import { parse } from "../graph/text.js";
import { checkGraph } from "./check.js";

const sound = `graph g(%x: float32[2]) -> (%z) {
  const %c: float32[2] = [1, 2]
  %y: float32[2] = Add(%x, %c)
  %z: float32[2] = If(%y)
    graph then() -> (%r) {
      %r: float32[2] = Add(%y, %x)
    }
}`;

test("a sound graph passes", () => checkGraph(parse(sound), "test"));

const bad: [string, RegExp, (g: Graph) => unknown][] = [
  ["nodes out of order", /reads y before any node makes it/, (g) => g.nodes.reverse()],
  [
    "two tensors of one name",
    /two tensors are named "y"/,
    (g) => ((g.nodes[1]?.outputs[0] as { name: string }).name = "y"),
  ],
  ["an input twice", /input "x" comes twice/, (g) => g.inputs.push(...g.inputs)],
  [
    "a tensor written twice",
    /writes y, which has a value/,
    (g) => g.nodes.splice(1, 0, ...g.nodes.slice(0, 1)),
  ],
  [
    "a written constant",
    /writes c, which has a value/,
    (g) => g.nodes[0]?.outputs.splice(0, 1, ...g.tensors().filter((t) => t.name === "c")),
  ],
  ["an output from nowhere", /output z is made by no node/, (g) => g.nodes.pop()],
  [
    "a sub-graph that reads what comes later",
    /reads z before/,
    (g) => g.nodes[1]?.graphs?.[0]?.nodes[0]?.inputs.push(...g.outputs),
  ],
];
for (const [what, message, change] of bad)
  test(`${what} is an error`, () => {
    const g = parse(sound);
    change(g);
    assert.throws(() => checkGraph(g, "test"), message);
  });
