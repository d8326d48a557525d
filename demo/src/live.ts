// The live half of demo/out/index.html: the same two models, run by the same library, in the reader's
// browser, on a picture that is dropped in or on the camera. Bundled by main.ts; no network is used.
import { load, type Model } from "minnow/run";
import { fromPixels } from "minnow/image";
import { type Face, findFaces } from "./faces.js";

interface Inlined {
  /** .minnow files, base64. */
  readonly faces: string;
  readonly person: string;
}

const $ = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const bytes = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const inlined = JSON.parse($("models").textContent ?? "{}") as Inlined;

const canvas = $<HTMLCanvasElement>("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
const status = $("status");
let models: Promise<{ faces: Model; person: Model }> | undefined;

async function ready(): Promise<{ faces: Model; person: Model }> {
  models ??= (async () => ({
    faces: await load(bytes(inlined.faces)),
    person: await load(bytes(inlined.person)),
  }))();
  return models;
}

/** Draws the picture with its faces, and the ground behind a person dimmed. */
async function show(source: CanvasImageSource, width: number, height: number): Promise<void> {
  const { faces, person } = await ready();
  const scale = Math.min(1, 960 / width);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);

  const start = performance.now();
  const found = await findFaces(faces, picture);
  const middle = performance.now();
  const body = fromPixels(picture, { width: 256, height: 256, fit: "stretch", mean: 0, std: 255 });
  const [mask] = inOrder(person, await person.run({ [person.inputs[0]!.name]: body }));
  const end = performance.now();

  dim(picture, mask as Float32Array, 256, 256);
  draw(found);
  status.textContent =
    `${found.length} ${found.length === 1 ? "face" : "faces"} in ${(middle - start).toFixed(1)} ms, ` +
    `person cut out in ${(end - middle).toFixed(1)} ms, in this page, on this machine's CPU.`;
}

const inOrder = (m: Model, out: Record<string, { data: unknown }>): unknown[] =>
  m.outputs.map((o) => out[o.name]?.data);

function dim(picture: ImageData, mask: Float32Array, w: number, h: number): void {
  const { data, width, height } = picture;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const m = mask[Math.floor((y * h) / height) * w + Math.floor((x * w) / width)] as number;
      const keep = 0.25 + 0.75 * m;
      for (let c = 0; c < 3; c++)
        data[(y * width + x) * 4 + c] = (data[(y * width + x) * 4 + c] as number) * keep;
    }
  context.putImageData(picture, 0, 0);
}

function draw(faces: readonly Face[]): void {
  const { width, height } = canvas;
  context.lineWidth = Math.max(2, width / 240);
  for (const f of faces) {
    context.strokeStyle = "#ffcf33";
    context.strokeRect(f.left * width, f.top * height, f.width * width, f.height * height);
    context.fillStyle = "#2dd4bf";
    for (const [x, y] of f.points) {
      context.beginPath();
      context.arc(x * width, y * height, context.lineWidth * 1.3, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

async function file(f: File | undefined | null): Promise<void> {
  if (!f) return;
  stop();
  status.textContent = "Running…";
  try {
    const picture = await createImageBitmap(f);
    await show(picture, picture.width, picture.height);
  } catch (e) {
    status.textContent = `That did not work: ${(e as Error).message}`;
  }
}

let camera: MediaStream | undefined;
function stop(): void {
  for (const track of camera?.getTracks() ?? []) track.stop();
  camera = undefined;
  $("camera").textContent = "Use the camera";
}

async function film(): Promise<void> {
  if (camera) return stop();
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } });
  } catch (e) {
    status.textContent = `No camera: ${(e as Error).message}`;
    return;
  }
  $("camera").textContent = "Stop the camera";
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = camera;
  await video.play();
  while (camera) {
    await show(video, video.videoWidth, video.videoHeight);
    await new Promise(requestAnimationFrame);
  }
}

const drop = $("drop");
$<HTMLInputElement>("file").addEventListener(
  "change",
  (e) => void file((e.target as HTMLInputElement).files?.[0]),
);
$("camera").addEventListener("click", () => void film());
drop.addEventListener("dragover", (e) => e.preventDefault());
drop.addEventListener("drop", (e) => {
  e.preventDefault();
  void file((e as DragEvent).dataTransfer?.files[0]);
});
for (const image of document.querySelectorAll<HTMLImageElement>("img[data-try]")) {
  const run = (): void => void show(image, image.naturalWidth, image.naturalHeight);
  document.getElementById(image.dataset.try as string)?.addEventListener("click", run);
}
