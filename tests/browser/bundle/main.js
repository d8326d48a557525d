// What an app writes: bundled by Vite, webpack and esbuild in bundlers.test.mjs.
import { load } from "minnow";
import { load as loadConverted } from "minnow/run";
import { fromPixels } from "minnow/image";

async function main() {
  const answers = {};
  for (const worker of [false, true]) {
    await using_(
      await load(new URL("/models/mnist.onnx", location.href), { worker, deterministic: true }),
      async (model) => {
        const pixels = {
          data: new Uint8ClampedArray(28 * 28 * 4).fill(200),
          width: 28,
          height: 28,
          channels: 4,
        };
        const image = fromPixels(pixels, { order: "gray", layout: "NCHW", mean: 0, std: 255 });
        const out = await model.run(image);
        answers[worker ? "worker" : "page"] = Array.from(Object.values(out)[0].data);
      },
    );
  }
  await using_(
    await loadConverted(new URL("/models/mnist.minnow", location.href), { deterministic: true }),
    async (model) => {
      const out = await model.run({ data: new Float32Array(28 * 28).fill(200 / 255), shape: [1, 1, 28, 28] });
      answers.run = Array.from(Object.values(out)[0].data);
    },
  );
  return answers;
}

async function using_(model, f) {
  try {
    await f(model);
  } finally {
    await model.dispose();
  }
}

main().then(
  (answers) => Object.assign(globalThis, { answers }),
  (e) => Object.assign(globalThis, { answers: { error: `${e.code}: ${e.message}\n${e.stack}` } }),
);
