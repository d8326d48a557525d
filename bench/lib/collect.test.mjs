// What a table promises: answers are compared before anything is timed, peers take turns with odd rounds
// backwards, and runs on a busy machine count only where there are no others.
//   node --test bench/lib/            (after npm run build, and npm ci in bench/)
import assert from "node:assert/strict";
import { test } from "node:test";
import { collect, summarise } from "./collect.mjs";
import { markdown } from "./views.mjs";

const output = (...values) => [
  { type: "Float32Array", base64: Buffer.from(Float32Array.from(values).buffer).toString("base64") },
];

/** A host whose peers answer and take what the test says. */
function fake(answers, result = () => ({ times: [10, 12, 11] })) {
  const turns = [];
  return {
    turns,
    name: "node",
    engine: "none",
    async run({ peer, seconds }) {
      if (!answers[peer]) return { error: "it fell over" };
      if (seconds) turns.push(peer);
      return {
        load: 5,
        calls: [1, 1, 1],
        times: [],
        idle: 1,
        outputs: answers[peer],
        ...(seconds && result(peer, turns)),
      };
    },
  };
}
const plan = (host) => ({
  hosts: [host],
  names: ["minnow", "ort-node", "ort-web", "tfjs"],
  models: ["autoencoder"],
  threads: [1],
  flags: [[]],
  rounds: 2,
  patience: 0,
  seconds: 1,
  log: () => {},
});

test("a peer that fails or answers something else is shown so and never timed", async () => {
  const right = output(1, 2, 3);
  const host = fake({ minnow: right, "ort-node": right, "ort-web": output(1, 2, 3.1) });
  const rows = (await collect(plan(host))).map((c) => summarise(c));
  assert.deepEqual(host.turns, ["minnow", "ort-node", "ort-node", "minnow"]);
  assert.match(rows.find((r) => r.peer === "ort-web").error, /answers differ/);
  assert.equal(rows.find((r) => r.peer === "tfjs").error, "it fell over");
  assert.match(
    markdown(rows, "steady"),
    /\| autoencoder \| 11.0 .* \*\*× 1.00\*\* .*answers differ.* \| it fell over \|/,
  );
});

test("disturbed runs are left out where every peer has others, and marked where not", async () => {
  const right = output(1);
  const result = (peer, turns) =>
    turns.filter((p) => p === peer).length === 1 ? { times: [10] } : { times: [50], cpu: 0.6 };
  const host = fake({ minnow: right, "ort-node": right }, result);
  const [quiet] = (await collect({ ...plan(host), names: ["minnow", "ort-node"] })).map((c) => summarise(c));
  assert.deepEqual(quiet.time, { median: 10, min: 10, max: 10, n: 1 });
  assert.equal(quiet.busy, false);
  const unlucky = fake({ minnow: right, "ort-node": right }, (peer, turns) =>
    peer === "minnow" ? result(peer, turns) : { times: [50], cpu: 0.5 },
  );
  const [ours] = (await collect({ ...plan(unlucky), names: ["minnow", "ort-node"] })).map((c) =>
    summarise(c),
  );
  assert.deepEqual(ours.time, { median: 30, min: 10, max: 50, n: 2 }); // nobody is compared with worse luck
  const loud = fake({ minnow: right, "ort-node": right }, () => ({ times: [50], cpu: 0.5 }));
  const rows = (await collect({ ...plan(loud), names: ["minnow", "ort-node"] })).map((c) => summarise(c));
  assert.ok(rows.every((r) => r.busy && r.time.n === 2));
  assert.match(markdown(rows, "steady"), /50\.0 \(50\.0–50\.0\) \\\*/);
});
