// The child process of leak.test.ts. Prints {"rss":[…],"memories":n,"collected":n}.
import { writeMinnow } from "../formats/minnow/writer.js";
import { Graph, constant, value } from "../graph/graph.js";
import { load } from "../run.js";

/** One dense layer with 4 MB of weights and a ReLU: big enough that a kept round is seen. */
function model(): Uint8Array {
  const n = 1024;
  const g = new Graph();
  const x = { ...value("x", "float32", [1, n]), kind: "input" as const };
  const w = constant(
    "w",
    "float32",
    [n, n],
    Float32Array.from({ length: n * n }, (_, i) => ((i * 7) % 13) / 13),
  );
  const y = value("y", "float32", [1, n]);
  const z = value("z", "float32", [1, n]);
  g.inputs = [x];
  g.outputs = [z];
  g.nodes = [
    { op: "Dense", name: "dense", inputs: [x, w], outputs: [y], attrs: {} },
    { op: "Relu", name: "relu", inputs: [y], outputs: [z], attrs: {} },
  ];
  return writeMinnow(g);
}

const gc = (globalThis as { gc?: () => void }).gc as () => void;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
let memories = 0;
let collected = 0;
const registry = new FinalizationRegistry<number>(() => {
  collected++;
});
const Memory = WebAssembly.Memory;
WebAssembly.Memory = class extends Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super(descriptor);
    memories++;
    registry.register(this, 0);
  }
};

const bytes = model();
const worker = process.argv.includes("worker");
const threads = process.argv.includes("threads") ? 2 : 1;
const rounds = worker || threads > 1 ? 40 : 100; // a worker takes longer to start
const rss: number[] = [];
const x = new Float32Array(1024).fill(1);
for (let round = 0; round < rounds; round++) {
  const m = await load(bytes, { worker, threads });
  const { z } = await m.run({ x });
  if (z?.data.length !== 1024) throw new Error("no answer");
  await m.dispose();
  await turn();
  gc();
  rss.push(process.memoryUsage.rss());
}
for (let i = 0; i < 20 && collected < memories; i++) {
  await turn();
  gc();
}
console.log(JSON.stringify({ rss, memories, collected }));
