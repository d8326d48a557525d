// fromPixels from everything that only a browser has: ImageData, canvas, OffscreenCanvas, ImageBitmap,
// image element, video element, VideoFrame; all hold the same pixels, so all give the same tensor. And
// load() from a Blob, a Response and a URL, with progress, and a server's error page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { convert } from "minnow";
import { launch } from "./chromium.mjs";
import { digits } from "./digits.mjs";
import { serve, strictCsp } from "./server.mjs";

let browser;
let server;
let page;

before(async () => {
  browser = await launch();
  const pages = {
    "/": `<!doctype html><title>image</title><script type="module" src="/start.js"></script>`,
    "/start.js": `import { fromPixels } from "/packages/minnow/dist/image/index.js";
      import { load } from "/packages/minnow/dist/run.js";
      Object.assign(globalThis, { fromPixels, load, ready: true });`,
    "/spa.minnow": "<!doctype html><title>my app</title>",
  };
  server = await serve(
    { "/packages/": "packages", "/node_modules/": "node_modules" },
    { headers: strictCsp, pages, resolveModules: true },
  );
  page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => globalThis.ready === true, null, { timeout: 30000 });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test("every pixel source of the browser gives the same tensor", async () => {
  const result = await page.evaluate(async () => {
    const [width, height] = [6, 4];
    const pixels = new ImageData(width, height);
    for (let i = 0; i < width * height; i++)
      pixels.data.set([(i * 37) % 256, (i * 91) % 256, (i * 13) % 256, 255], 4 * i);
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const offscreen = new OffscreenCanvas(width, height);
    offscreen.getContext("2d").putImageData(pixels, 0, 0);
    const blob = await new Promise((ok) => canvas.toBlob(ok, "image/png"));
    const bitmap = await createImageBitmap(pixels);
    const frame = new VideoFrame(canvas, { timestamp: 0 });
    const raw = { data: new Uint8Array(pixels.data.buffer), width, height };
    const options = {
      width: 3,
      height: 5,
      crop: { x: 1.5, y: 1, width: 3, height: 2.5 },
      mean: 127.5,
      std: 127.5,
      layout: "NCHW",
    };
    const want = Array.from(fromPixels(raw, options).data);
    const plain = Array.from(fromPixels(raw).data);
    const sources = { pixels, canvas, offscreen, bitmap, frame, png: await createImageBitmap(blob) };
    const out = {};
    for (const [name, source] of Object.entries(sources)) {
      const far = (a, b) => Math.max(...Array.from(a.data).map((v, i) => Math.abs(v - b[i])));
      out[name] = [far(fromPixels(source, options), want), far(fromPixels(source), plain)];
    }
    frame.close();
    let unloaded = "";
    try {
      fromPixels(document.createElement("video"));
    } catch (e) {
      unloaded = `${e.code}: ${e.message}`;
    }
    return { out, unloaded };
  });
  for (const [name, [cropped, whole]] of Object.entries(result.out)) {
    assert.ok(cropped < 1e-6 && whole < 1e-6, `${name}: off by ${cropped} and ${whole}`);
  }
  assert.match(result.unloaded, /^bad_input: the picture is 0×0 pixels .*loadeddata/);
});

test("load from a Blob, a Response and a URL; a missing file and an app's own page", async () => {
  const file = Array.from(await convert(digits()));
  const result = await page.evaluate(async (numbers) => {
    const bytes = Uint8Array.from(numbers);
    const seen = [];
    const onProgress = (p) => p.phase === "read" && seen.push([p.loaded, p.total]);
    const names = [];
    for (const source of [bytes, bytes.buffer, new Blob([bytes]), new Response(bytes)]) {
      const model = await load(source, { onProgress });
      names.push(model.inputs[0].name);
      await model.dispose();
    }
    const say = (source) =>
      load(source).then(
        () => "loaded",
        (e) => `${e.code}: ${e.message}`,
      );
    return { names, seen, missing: await say("/none.minnow"), spa: await say("/spa.minnow") };
  }, file);
  assert.equal(new Set(result.names).size, 1);
  assert.equal(result.names.length, 4);
  assert.ok(
    result.seen.every(([loaded]) => loaded <= file.length) &&
      result.seen.some(([, total]) => total === file.length),
  );
  assert.match(result.missing, /^io: cannot read .*none.minnow: the server answered 404/);
  assert.match(result.spa, /^io: .*spa.minnow is an HTML page \(status 200\), not a model/);
});
