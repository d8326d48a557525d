// `npm start` finds what is in the pictures, and the page it writes runs from a file, in a browser,
// without a network.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./chromium.mjs";

let browser;
let said;
before(async () => {
  said = execFileSync(process.execPath, ["demo/dist/main.js"], { encoding: "utf8" });
  browser = await launch(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
});
after(() => browser?.close());

test("the demo finds every face, a person, and reads the page", () => {
  const counts = [...said.matchAll(/faces in photograph \d: (\d+)/g)].map((m) => Number(m[1]));
  assert.deepEqual(counts, [3, 3, 3, 0]);
  assert.match(said, /person: (3|4|5)\d % of the picture/);
  assert.match(said, /7 of 7 lines read letter for letter/);
  for (const f of ["faces-1.jpg", "person.png", "page.png", "index.html"])
    assert.ok(existsSync(`demo/out/${f}`) && statSync(`demo/out/${f}`).size > 10000, f);
});

async function open() {
  const page = await browser.newPage();
  const complaints = [];
  const requests = [];
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("request", (r) => /^(data|blob|file):/.test(r.url()) || requests.push(r.url()));
  await page.goto(`file://${resolve("demo/out/index.html")}`);
  return { page, complaints, requests };
}
const finished = (page) =>
  page.waitForFunction(
    () => /faces? in [\d.]+ ms/.test(document.getElementById("status").textContent),
    null,
    { timeout: 60000 },
  );

test("the page runs both models on a picture, by keyboard", async () => {
  const { page, complaints, requests } = await open();
  await page.locator("button", { hasText: "Run it here" }).first().focus();
  await page.keyboard.press("Enter");
  await finished(page);
  assert.match(await page.textContent("#status"), /^3 faces/);
  assert.deepEqual([complaints, requests], [[], []]);
  const images = await page.$$eval("img", (list) => list.map((i) => i.alt));
  assert.ok(
    images.length >= 6 && images.every((alt) => alt.length > 10),
    "every picture has an alternative text",
  );
  await page.close();
});

test("a picture dropped in as a file runs; one that is none says so", async () => {
  const { page, complaints } = await open();
  await page.setInputFiles("#file", resolve("node_modules/@vladmandic/face-api/demo/sample2.jpg"));
  await finished(page);
  await page.setInputFiles("#file", resolve("package.json"));
  await page.waitForFunction(() => /did not work/.test(document.getElementById("status").textContent), null, {
    timeout: 20000,
  });
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the camera runs until it is stopped", async () => {
  const { page, complaints } = await open();
  await page.click("#camera");
  await finished(page);
  assert.equal(await page.textContent("#camera"), "Stop the camera");
  await page.click("#camera");
  assert.equal(await page.textContent("#camera"), "Use the camera");
  assert.deepEqual(complaints, []);
  await page.close();
});

test("text and buttons reach the contrast of AA", async () => {
  const { page } = await open();
  const ratios = await page.evaluate(() => {
    const channel = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = (c) =>
      c.slice(0, 3).reduce((s, v, i) => s + channel(v) * [0.2126, 0.7152, 0.0722][i], 0);
    const parse = (c) => c.match(/[\d.]+/g).map(Number);
    const ground = (e) => {
      for (let x = e; x; x = x.parentElement) {
        const c = parse(getComputedStyle(x).backgroundColor);
        if (c.length === 3 || c[3] === 1) return c;
      }
      return [255, 255, 255];
    };
    return [...document.querySelectorAll("h1, h2, p, button, label, pre, span, code")].map((e) => {
      const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(ground(e))].sort(
        (x, y) => y - x,
      );
      return [e.tagName, (a + 0.05) / (b + 0.05)];
    });
  });
  for (const [tag, ratio] of ratios) assert.ok(ratio >= 4.5, `${tag} has ${ratio.toFixed(2)}`);
  await page.close();
});
