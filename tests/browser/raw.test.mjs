// Raw ESM in Chromium under a strict Content-Security-Policy, with and without cross-origin isolation,
// on the page and in a worker: the golden models agree, and `deterministic` gives Node's bits.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "minnow";
import { launch } from "./chromium.mjs";
import { goldens, testdata } from "./goldens.mjs";
import { isolation, serve, strictCsp } from "./server.mjs";
import { hash } from "./hash.mjs";

const all = goldens();
const skip = all.length ? false : "../shared is absent";
const html = `<!doctype html><title>minnow</title><script type="module" src="/app/page.js"></script>`;
let browser;
const servers = [];

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const s of servers) await s.close();
});

async function open(headers) {
  const mounts = {
    "/app/": "tests/browser/app",
    "/packages/": "packages",
    "/node_modules/": "node_modules",
    "/testdata/": testdata,
  };
  const server = await serve(mounts, {
    headers: { ...strictCsp, ...headers },
    pages: { "/": html },
    resolveModules: true,
  });
  servers.push(server);
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(String(e)));
  await page.goto(server.url);
  await page
    .waitForFunction(() => globalThis.minnowTest !== undefined, null, { timeout: 20000 })
    .catch(() => {
      throw new Error(`the page did not start: ${complaints.join("; ")}`);
    });
  return page;
}

const run = (page, g, options) =>
  page.evaluate(
    ([m, o]) => globalThis.minnowTest.runGolden(m, o),
    [{ url: `/testdata/${g.path}`, folder: `/testdata/${g.folder}`, meta: g.meta }, options],
  );

const known = new Map();

/** Of each output, as Node computes it under `deterministic`. */
function nodeHashes(g) {
  if (!known.has(g.path)) known.set(g.path, computeInNode(g));
  return known.get(g.path);
}

async function computeInNode(g) {
  const model = await load(join(testdata, g.path), { deterministic: true });
  const feed = {};
  for (const [i, t] of g.meta.inputs.entries()) {
    const name = model.inputs.some((x) => x.name === t.name) ? t.name : model.inputs[i].name;
    const bytes = readFileSync(join(testdata, g.folder, t.file));
    feed[name] = { data: typed(t.dtype ?? t.dt, bytes), shape: t.shape };
  }
  const out = await model.run(feed);
  await model.dispose();
  return g.meta.outputs.map((t, i) => hash((out[t.name] ?? Object.values(out)[i]).data));
}
const classes = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
};
const typed = (dtype, b) => new classes[dtype](b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));

const near = ({ meta }, r, i) => {
  const float = (meta.outputs[i].dtype ?? meta.outputs[i].dt) === "float32";
  return r.distance <= (float ? (meta.tolerance?.rel ?? 1e-4) : (meta.tolerance?.abs ?? 3));
};

test("all golden models agree in an isolated page; deterministic gives Node's bits", { skip }, async () => {
  const page = await open(isolation);
  assert.equal(await page.evaluate(() => globalThis.crossOriginIsolated), true);
  for (const g of all) {
    const fast = await run(page, g, {});
    fast.results.forEach((r, i) =>
      assert.ok(near(g, r, i), `${g.name}: output ${i} is off by ${r.distance}`),
    );
    const exact = await run(page, g, { deterministic: true });
    assert.deepEqual(
      exact.results.map((r) => r.hash),
      await nodeHashes(g),
      `${g.name}: bits differ between Node and Chromium`,
    );
  }
  await page.close();
});

test("without isolation, in a worker, converted first: the same answers", { skip }, async () => {
  const page = await open({});
  assert.equal(await page.evaluate(() => globalThis.crossOriginIsolated), false);
  let brought = 0;
  for (const g of all) {
    const want = await nodeHashes(g);
    const small = /ad01|mnist|micro_speech|yunet|coco_ssd|v1_0.25_128/.test(g.name);
    const more = small ? [{ worker: true }, { converted: true }] : [];
    const ahead = { converted: true, precompile: true };
    for (const options of [{ worker: true, converted: true }, ahead, ...more]) {
      const r = await run(page, g, { ...options, deterministic: true });
      assert.deepEqual(
        r.results.map((x) => x.hash),
        want,
        `${g.name} with ${JSON.stringify(options)}`,
      );
      if (r.report.includes("plan and code came with the file")) brought++;
    }
    if (small)
      assert.match((await run(page, g, { threads: 2 })).report, /threads +1 \(no shared memory here/);
  }
  assert.ok(brought > all.length / 2, `${brought} of ${all.length} models brought their plan`);
  await page.close();
});

test("threads in an isolated page: the bits of one, under a strict policy", {
  skip,
}, async () => {
  const page = await open(isolation);
  let shared = 0;
  for (const g of all.filter((x) =>
    /yunet|squeezenet_v1.1|v1_0.25_224_quant|vww_96_int8|ad01/.test(x.name),
  )) {
    const one = await run(page, g, { deterministic: true });
    for (const threads of [2, 3]) {
      const r = await run(page, g, { threads, runs: 3, deterministic: true });
      assert.deepEqual(r.results, one.results, `${g.name} on ${threads} threads`);
      // Where they gain too little on this machine now, the report says so: they have run.
      if (new RegExp(`threads +${threads}|\\d threads gain`).test(r.report)) shared++;
      else assert.match(r.report, /threads +1 \(its steps are too small/);
    }
  }
  assert.ok(shared >= 4, `${shared} ran on threads`);
  const r = await run(
    page,
    all.find((x) => /yunet/.test(x.name)),
    { threads: 2, worker: false },
  );
  assert.match(r.report, /threads +1 \(a page's main thread must not wait/);
  await page.close();
});

test("a policy without wasm-unsafe-eval gives a ModelError that says so", { skip }, async () => {
  const page = await open({ "Content-Security-Policy": "default-src 'self'; script-src 'self'" });
  const g = all.find((x) => x.name === "mnist.onnx");
  await assert.rejects(run(page, g, {}), /wasm-unsafe-eval|WebAssembly/);
  await page.close();
});
