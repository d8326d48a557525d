// A model of many equal steps with known cost, for tests of runs that last.
import { writeMinnow } from "../formats/minnow/writer.js";
import { constant, Graph, type Tensor, value } from "../graph/graph.js";

/** `layers` dense layers with ReLU of 256 → 256 on 256 rows: some 17 million multiply-adds each. */
export function deepModel(layers: number): { bytes: Uint8Array; input: Float32Array } {
  const n = 256;
  const noise = (k: number, seed: number): Float32Array =>
    Float32Array.from({ length: k }, (_, i) => (((i + seed) * 7919) % 1013) / 506.5 - 1);
  const weights = constant(
    "w",
    "float32",
    [n, n],
    noise(n * n, 1).map((v) => v / 8),
  );
  const g = new Graph();
  let x: Tensor = { ...value("x", "float32", [n, n]), kind: "input" };
  g.inputs = [x];
  for (let i = 0; i < layers; i++) {
    const y = value(`y${i}`, "float32", [n, n]);
    const z = value(`z${i}`, "float32", [n, n]);
    g.nodes.push({ op: "Dense", name: `dense${i}`, inputs: [x, weights], outputs: [y], attrs: {} });
    g.nodes.push({ op: "Relu", name: `relu${i}`, inputs: [y], outputs: [z], attrs: {} });
    x = z;
  }
  g.outputs = [x];
  return { bytes: writeMinnow(g), input: noise(n * n, 2) };
}
