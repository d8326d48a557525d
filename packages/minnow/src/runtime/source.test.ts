// Every kind of source gives the same bytes, and what cannot be read says why.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { ModelError } from "../error.js";
import { shrink } from "../graph/released.js";
import { readSource } from "./source.js";
import type { ModelSource, Progress } from "./types.js";

const want = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) & 255);
/** By its mark. */
const minnow = want.slice();
minnow.set(new TextEncoder().encode("MNOW"), 4);
let dir = "";
let server: Server;
let base = "";

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "minnow-"));
  await writeFile(join(dir, "a model.onnx"), want);
  server = createServer((request, response) => {
    switch (request.url) {
      case "/model":
        response.writeHead(200, { "content-length": want.length }).end(want);
        break;
      case "/chunked":
        response.writeHead(200).write(want.subarray(0, 1000));
        setTimeout(() => response.end(want.subarray(1000)), 5);
        break;
      case "/minnow":
        response.writeHead(200).write(minnow.subarray(0, 1000));
        setTimeout(() => response.end(minnow.subarray(1000)), 5);
        break;
      case "/cut":
        response.writeHead(200, { "content-length": want.length });
        response.write(want.subarray(0, 1000), () => response.destroy());
        break;
      case "/slow":
        response.writeHead(200).write(want.subarray(0, 10));
        break;
      case "/page":
        response.writeHead(200).end("\n<!DOCTYPE html><title>App</title>");
        break;
      default:
        response.writeHead(404, { "content-type": "text/html" }).end("<h1>Not here</h1>");
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(dir, { recursive: true });
});

const fails = async (source: ModelSource, message: RegExp, signal?: AbortSignal): Promise<ModelError> => {
  const e = await readSource(source, { signal }).then(
    () => assert.fail("did not fail"),
    (x: unknown) => x,
  );
  assert.ok(e instanceof ModelError, String(e));
  assert.match(e.message, message);
  return e;
};

test("paths, URLs, bytes, buffers, blobs and responses", async () => {
  const path = join(dir, "a model.onnx");
  const sources: ModelSource[] = [
    path,
    pathToFileURL(path),
    pathToFileURL(path).href,
    want,
    want.slice().buffer,
    new Blob([want]),
    new Response(want),
    `${base}/model`,
    new URL(`${base}/chunked`),
    await fetch(`${base}/model`),
    "data:application/octet-stream;base64,AAEC",
  ];
  for (const source of sources.slice(0, -1))
    assert.deepEqual(Buffer.from(await readSource(source)), Buffer.from(want));
  assert.deepEqual([...(await readSource(sources.at(-1) as string))], [0, 1, 2]);
});

test("a .minnow file of unknown length lies in one buffer, which can shrink", async () => {
  const bytes = await readSource(`${base}/minnow`);
  assert.deepEqual(Buffer.from(bytes), Buffer.from(minnow));
  assert.equal(bytes.byteOffset, 0);
  assert.equal(bytes.buffer.byteLength, minnow.length);
  shrink(bytes.buffer, 0);
  assert.equal(bytes.buffer.byteLength, 0);
});

test("progress tells bytes and, where known, the total", async () => {
  const seen: Progress[] = [];
  await readSource(`${base}/model`, { onProgress: (p) => seen.push(p) });
  assert.ok(
    seen.every(
      (p, i) =>
        p.phase === "read" && p.total === want.length && (i === 0 || p.loaded >= (seen[i - 1]?.loaded ?? 0)),
    ),
  );
  assert.equal(seen.at(-1)?.loaded, want.length);
  const open: Progress[] = [];
  await readSource(`${base}/chunked`, { onProgress: (p) => open.push(p) });
  assert.equal(open[0]?.total, 0);
});

test("what cannot be read says why", async () => {
  assert.equal((await fails(join(dir, "none.onnx"), /no such file/)).code, "io");
  await fails(dir, /it is a directory/);
  assert.equal((await fails(`${base}/none`, /the server answered 404 Not Found/)).code, "io");
  await fails(new Response("<h1>no</h1>", { status: 404 }), /answered 404/);
  await fails(`${base}/page`, /is an HTML page \(status 200\), not a model/);
  assert.equal((await fails(`${base}/cut`, /cannot read/)).code, "io");
  await fails("http://127.0.0.1:1/x", /cannot read http:\/\/127.0.0.1:1\/x: .*ECONNREFUSED|bad port/);
  const used = new Response(want);
  await used.arrayBuffer();
  await fails(used, /read already/);
  assert.equal((await fails(5 as unknown as string, /cannot load from 5/)).code, "bad_option");
  await fails({} as unknown as string, /cannot load from Object/);
});

test("a signal stops a slow download", async () => {
  const e = await fails(`${base}/slow`, /aborted/, AbortSignal.timeout(30));
  assert.equal(e.code, "aborted");
});
