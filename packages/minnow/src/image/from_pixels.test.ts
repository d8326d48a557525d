// Pictures to tensors, against values worked by hand and against a resampler written apart: numpy,
// one dense weight matrix an axis in float64 (channel 1 of the 7×10 picture below).
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../error.js";
import { fromPixels } from "./from_pixels.js";
import type { Filter } from "./resample.js";
import { pixelOptions } from "./options.js";
import { type Picture, toPicture } from "./source.js";
import { topK } from "./top_k.js";

/** numpy: (53y + 29x + 101c + 7xy) mod 256 */
function picture(height = 7, width = 10, channels: 3 | 4 = 3): Picture {
  const data = new Uint8Array(height * width * channels);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) data[i++] = (53 * y + 29 * x + 101 * c + 7 * x * y) % 256;
  return { data, width, height, channels };
}

const numpy: Record<string, readonly number[]> = {
  "bilinear 4x5": [
    136.688, 151.938, 167.188, 70.4375, 133.688, 203.562, 67.3125, 155.062, 210.812, 74.5625, 78.4375,
    190.688, 78.9375, 159.188, 47.4375, 177.312, 106.062, 114.812, 123.562, 132.312,
  ],
  "bilinear 11x13": [
    101, 119.962, 142.269, 164.577, 186.885, 209.192, 231.5, 184.885, 20.1154, 42.4231, 64.7308, 87.0385, 106,
    125.091, 146.133, 170.888, 173.266, 108.51, 128.79, 153.546, 140.706, 63.4196, 88.1748, 112.93, 137.685,
    158.727, 158.818, 182.773, 201.108, 171.108, 20.2692, 39.5, 67.6818, 95.8636, 124.046, 152.227, 166.982,
    185.318, 209.273, 192.546, 219.413, 172.252, 83.021, 60.9231, 89.8462, 121.454, 153.063, 184.671, 216.28,
    140.476, 93.3147, 120.182, 133.182, 162.962, 129.073, 70.1224, 105.157, 140.192, 175.227, 185.199,
    152.206, 187.241, 128.29, 94.4021, 124.182, 4, 36.6923, 75.1538, 113.615, 152.077, 190.538, 229, 198.538,
    49.9231, 88.3846, 126.846, 165.308, 198, 37.7273, 73.3322, 115.22, 157.108, 198.996, 121.836, 119.864,
    136.689, 110.549, 152.437, 100.339, 73.3042, 108.909, 71.4545, 109.972, 155.287, 187.175, 178.783,
    85.3566, 80.5455, 125.86, 168.489, 160.098, 84.5734, 51.1189, 89.6364, 105.182, 146.612, 195.353, 199.339,
    69.0594, 91.8427, 134.318, 183.059, 222.85, 92.5699, 83.1294, 122.025, 163.454, 138.909, 183.252, 176.343,
    125.573, 88.2308, 135.923, 118.273, 100.622, 148.315, 110.972, 140.762, 144.594, 97.6364, 163, 209.423,
    155.731, 62.6538, 117.269, 171.885, 98.5, 25.1154, 79.7308, 134.346, 188.962, 154.962, 34,
  ],
  "nearest 3x4": [190, 6, 114, 186, 54, 154, 48, 148, 174, 46, 238, 110],
  "area 3x4": [
    158.743, 123.314, 123.943, 132.4, 102.514, 134.743, 155.029, 114.114, 156, 124.229, 120.286, 117.771,
  ],
  "area 2x3": [141.6, 135.343, 129.086, 132.686, 125.171, 117.657],
};

for (const [name, want] of Object.entries(numpy))
  test(`${name} agrees with numpy`, () => {
    const [filter, size] = name.split(" ") as [Filter, string];
    const [height, width] = size.split("x").map(Number) as [number, number];
    for (const channels of [3, 4] as const) {
      const { data, shape } = fromPixels(picture(7, 10, channels), { width, height, filter });
      assert.deepEqual(shape, [1, height, width, 3]);
      want.forEach((v, i) => {
        const got = data[3 * i + 1] as number;
        assert.ok(Math.abs(got - v) < 1e-3, `${i}: ${got} for ${v}`);
      });
    }
  });

const two: Picture = {
  data: Uint8Array.of(0, 10, 20, 100, 110, 120, 200, 210, 220, 50, 60, 70),
  width: 2,
  height: 2,
};

test("the size of the picture is kept when none is asked", () => {
  const { data, shape } = fromPixels(two);
  assert.deepEqual(shape, [1, 2, 2, 3]);
  assert.deepEqual([...data], [...two.data]);
});

test("order, layout, mean and std, range", () => {
  const one = (o: Parameters<typeof fromPixels>[1]) => [
    ...fromPixels(two, { width: 2, height: 2, ...o }).data,
  ];
  assert.deepEqual(one({ order: "bgr" }), [20, 10, 0, 120, 110, 100, 220, 210, 200, 70, 60, 50]);
  assert.deepEqual(one({ layout: "NCHW" }), [0, 100, 200, 50, 10, 110, 210, 60, 20, 120, 220, 70]);
  assert.deepEqual(one({ mean: 100, std: 50 }).slice(0, 6), [
    -2,
    Math.fround(-1.8),
    Math.fround(-1.6),
    0,
    Math.fround(0.2),
    Math.fround(0.4),
  ]);
  assert.deepEqual(one({ mean: [0, 10, 20], std: [1, 2, 4], order: "rgb" }).slice(3, 6), [100, 50, 25]);
  // mean and std belong to the channels in `order`
  assert.deepEqual(one({ mean: [20, 10, 0], order: "bgr" }).slice(0, 3), [0, 0, 0]);
  const gray = one({ order: "gray" });
  [0.299 * 0 + 0.587 * 10 + 0.114 * 20, 0.299 * 100 + 0.587 * 110 + 0.114 * 120].forEach((v, i) => {
    assert.ok(Math.abs((gray[i] as number) - v) < 1e-4);
  });
  const white: Picture = { data: new Uint8Array(3).fill(255), width: 1, height: 1 };
  assert.deepEqual([...fromPixels(white, { range: [-1, 1] }).data], [1, 1, 1]);
});

test("grey pictures fill three channels; alpha is ignored", () => {
  const grey: Picture = { data: Uint8Array.of(7, 9), width: 2, height: 1 };
  assert.deepEqual([...fromPixels(grey).data], [7, 7, 7, 9, 9, 9]);
  assert.deepEqual([...fromPixels(grey, { order: "gray" }).data], [7, 9]);
  const rgba: Picture = { data: Uint8ClampedArray.of(1, 2, 3, 0), width: 1, height: 1 };
  assert.deepEqual([...fromPixels(rgba).data], [1, 2, 3]);
});

test("uint8 and int8, with and without quantisation, are rounded and clamped", () => {
  assert.deepEqual([...fromPixels(two, { dtype: "uint8" }).data], [...two.data]);
  assert.deepEqual([...fromPixels(two, { dtype: "int8" }).data].slice(0, 4), [-128, -118, -108, -28]);
  const quantization = { scale: 1 / 128, zeroPoint: 0 };
  // (pixel − 127.5) / 127.5 / (1/128): 0 → −128, 220 → 92.8 → 93
  const { data } = fromPixels(two, { dtype: "int8", mean: 127.5, std: 127.5, quantization });
  assert.equal(data[0], -128);
  assert.equal(data[8], 93);
  const over = fromPixels(two, {
    dtype: "uint8",
    mean: 0,
    std: 1,
    quantization: { scale: 0.5, zeroPoint: 0 },
  });
  assert.deepEqual([...over.data].slice(6, 9), [255, 255, 255]);
});

test("contain puts bars around the whole picture and tells where it lies", () => {
  const wide: Picture = { data: new Uint8Array(4 * 2 * 3).fill(100), width: 4, height: 2 };
  const r = fromPixels(wide, { width: 8, height: 8, fit: "contain", mean: 50, fill: 50 });
  const rows = Array.from({ length: 8 }, (_, y) => r.data[y * 8 * 3] as number);
  assert.deepEqual(rows, [0, 0, 50, 50, 50, 50, 0, 0]);
  assert.deepEqual([r.scaleX, r.scaleY, r.offsetX, r.offsetY], [2, 2, 0, 2]);
  assert.deepEqual(toPicture(r, 8, 6), [4, 2]);
  const start = fromPixels(wide, {
    width: 8,
    height: 8,
    fit: "contain",
    align: "start",
    layout: "NCHW",
    fill: [1, 2, 3],
  });
  assert.deepEqual(
    [start.data[0], start.data[3 * 8], start.data[4 * 8], start.data[64 + 4 * 8], start.data[128 + 63]],
    [100, 100, 1, 2, 3],
  );
});

test("cover cuts the edges off evenly", () => {
  const wide: Picture = { data: Uint8Array.of(1, 2, 3, 4), width: 4, height: 1, channels: 1 };
  const r = fromPixels(wide, { width: 2, height: 1, fit: "cover", order: "gray" });
  // one row of height 1 covers 1×1 a pixel: the middle two
  assert.deepEqual([...r.data], [2, 3]);
  assert.deepEqual([r.scaleX, r.offsetX], [1, -1]);
});

test("a crop reads nothing outside it", () => {
  const r = fromPixels(picture(), { crop: { x: 2, y: 1, width: 3, height: 2 }, order: "rgb" });
  const want: number[] = [];
  for (let y = 1; y < 3; y++)
    for (let x = 2; x < 5; x++)
      for (let c = 0; c < 3; c++) want.push((53 * y + 29 * x + 101 * c + 7 * x * y) % 256);
  assert.deepEqual([...r.data], want);
  const edge: Picture = { data: Uint8Array.of(0, 10, 20, 255), width: 4, height: 1, channels: 1 };
  const up = fromPixels(edge, {
    crop: { x: 0, y: 0, width: 3, height: 1 },
    width: 6,
    height: 1,
    order: "gray",
  });
  assert.deepEqual([...up.data], [0, 2.5, 7.5, 12.5, 17.5, 20]);
  assert.deepEqual(toPicture(up, 3, 0.5), [1.5, 0.5]);
});

test("into is filled and nothing else allocated for the pixels", () => {
  const into = new Float32Array(12);
  assert.equal(fromPixels(two, { into }).data, into);
  assert.deepEqual([...into], [...two.data]);
  assert.throws(() => fromPixels(two, { into: new Float32Array(11) }), { code: "bad_option" });
  assert.throws(() => fromPixels(two, { dtype: "uint8", into }), { code: "bad_option" });
});

test("what makes no sense is refused", () => {
  const bad = (o: object, code = "bad_option") =>
    assert.throws(
      () => fromPixels(two, o),
      (e: unknown) => e instanceof ModelError && e.code === code,
    );
  bad({ width: 0 });
  bad({ width: 1.5 });
  bad({ crop: { x: 1, y: 0, width: 2, height: 2 } });
  bad({ crop: { x: 0, y: 0, width: 0, height: 2 } });
  bad({ std: 0 });
  bad({ mean: [1, 2] });
  bad({ dtype: "int32" });
  assert.throws(() => fromPixels({ data: new Uint8Array(5), width: 2, height: 2 }), { code: "bad_input" });
  assert.throws(() => fromPixels({ data: new Uint8Array(0), width: 0, height: 0 }), { code: "bad_input" });
});

test("pixelOptions reads size, layout, type and normalisation from a model", () => {
  const spec = { name: "x", shape: [1, 3, 20, 30], dtype: "float32" };
  assert.deepEqual(pixelOptions({ inputs: [spec] }), {
    layout: "NCHW",
    width: 30,
    height: 20,
    order: "rgb",
    dtype: "float32",
  });
  const q = { scale: [0.5], zeroPoint: [3] };
  const quantised = { name: "y", shape: ["n", 8, 9, 1], dtype: "uint8", quantization: q };
  const metadata = { normalization: { y: { mean: [1], std: [2] } } };
  assert.deepEqual(
    pixelOptions({ inputs: [{ name: "n", shape: [1], dtype: "int32" }, quantised], metadata }),
    {
      layout: "NHWC",
      width: 9,
      height: 8,
      order: "gray",
      dtype: "uint8",
      mean: [1],
      std: [2],
      quantization: q,
    },
  );
  assert.throws(() => pixelOptions({ inputs: [{ name: "n", shape: [1, 5], dtype: "int32" }] }), {
    code: "bad_option",
  });
});

test("topK ranks, keeps the order of equals, never gives NaN", () => {
  assert.deepEqual(topK([1, 5, Number.NaN, 5, 3], 3, ["a", "b", "c"]), [
    { index: 1, score: 5, label: "b" },
    { index: 3, score: 5 },
    { index: 4, score: 3 },
  ]);
  assert.deepEqual(topK([2], 5), [{ index: 0, score: 2 }]);
  assert.deepEqual(topK([1, 2], 0), []);
});
