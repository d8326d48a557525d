// Resize against ONNX Runtime (every mode and rule of coordinates), and TFLite's own rules by hand.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { Dim } from "../graph/dim.js";
import type { Attrs, Tensor } from "../graph/graph.js";
import { inferGraph } from "./infer.js";
import { affine, type Case, check, graphOf, t } from "./movement.test.kit.js";
import { nearest } from "./resize-taps.js";

// ONNX Runtime 1.32.0, operator set 19, of this 3×4 image.
const image = [1, 4, 9, 16, 2, 13, 3, 18, 12, 8, 6, 6];
const onnxRuntime: [Attrs, number[]][] = [
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "round_prefer_floor", sizes: [4, 5] },
    [1, 4, 4, 9, 16, 2, 13, 13, 3, 18, 2, 13, 13, 3, 18, 12, 8, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "round_prefer_ceil", sizes: [4, 5] },
    [1, 4, 9, 9, 16, 2, 13, 3, 3, 18, 2, 13, 3, 3, 18, 12, 8, 6, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "floor", sizes: [4, 5] },
    [1, 1, 4, 9, 16, 1, 1, 4, 9, 16, 2, 2, 13, 3, 18, 12, 12, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "ceil", sizes: [4, 5] },
    [1, 4, 9, 16, 16, 2, 13, 3, 18, 18, 12, 8, 6, 6, 6, 12, 8, 6, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "round_prefer_floor", sizes: [2, 2] },
    [1, 9, 12, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "round_prefer_ceil", sizes: [2, 2] },
    [4, 16, 8, 6],
  ],
  [{ mode: "nearest", coordinates: "half_pixel", nearest: "floor", sizes: [2, 2] }, [1, 9, 2, 3]],
  [{ mode: "nearest", coordinates: "half_pixel", nearest: "ceil", sizes: [2, 2] }, [13, 18, 8, 6]],
  [
    {
      mode: "nearest",
      coordinates: "half_pixel",
      nearest: "round_prefer_floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [1, 1, 4, 9, 9, 16],
  ],
  [
    {
      mode: "nearest",
      coordinates: "half_pixel",
      nearest: "round_prefer_ceil",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [1, 1, 4, 9, 9, 16],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "floor", scales: [0.6, 1.7], keepScale: true },
    [1, 1, 1, 4, 9, 9],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel", nearest: "ceil", scales: [0.6, 1.7], keepScale: true },
    [2, 13, 13, 3, 18, 18],
  ],
  [
    { mode: "nearest", coordinates: "asymmetric", nearest: "round_prefer_floor", sizes: [4, 5] },
    [1, 4, 9, 9, 16, 2, 13, 3, 3, 18, 2, 13, 3, 3, 18, 12, 8, 6, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "asymmetric", nearest: "floor", sizes: [4, 5] },
    [1, 1, 4, 9, 16, 1, 1, 4, 9, 16, 2, 2, 13, 3, 18, 12, 12, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "asymmetric", nearest: "round_prefer_floor", sizes: [2, 2] },
    [1, 9, 2, 3],
  ],
  [{ mode: "nearest", coordinates: "asymmetric", nearest: "floor", sizes: [2, 2] }, [1, 9, 2, 3]],
  [
    {
      mode: "nearest",
      coordinates: "asymmetric",
      nearest: "round_prefer_floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [1, 4, 4, 9, 9, 16],
  ],
  [
    { mode: "nearest", coordinates: "asymmetric", nearest: "floor", scales: [0.6, 1.7], keepScale: true },
    [1, 1, 4, 4, 9, 9],
  ],
  [
    { mode: "nearest", coordinates: "align_corners", nearest: "round_prefer_floor", sizes: [4, 5] },
    [1, 4, 4, 9, 16, 2, 13, 13, 3, 18, 2, 13, 13, 3, 18, 12, 8, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "align_corners", nearest: "floor", sizes: [4, 5] },
    [1, 1, 4, 9, 16, 1, 1, 4, 9, 16, 2, 2, 13, 3, 18, 12, 12, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "align_corners", nearest: "round_prefer_floor", sizes: [2, 2] },
    [1, 16, 12, 6],
  ],
  [{ mode: "nearest", coordinates: "align_corners", nearest: "floor", sizes: [2, 2] }, [1, 16, 12, 6]],
  [
    {
      mode: "nearest",
      coordinates: "align_corners",
      nearest: "round_prefer_floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [1, 4, 4, 9, 9, 16],
  ],
  [
    { mode: "nearest", coordinates: "align_corners", nearest: "floor", scales: [0.6, 1.7], keepScale: true },
    [1, 1, 4, 4, 9, 16],
  ],
  [
    { mode: "nearest", coordinates: "pytorch_half_pixel", nearest: "round_prefer_floor", sizes: [4, 5] },
    [1, 4, 4, 9, 16, 2, 13, 13, 3, 18, 2, 13, 13, 3, 18, 12, 8, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "pytorch_half_pixel", nearest: "floor", sizes: [4, 5] },
    [1, 1, 4, 9, 16, 1, 1, 4, 9, 16, 2, 2, 13, 3, 18, 12, 12, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "pytorch_half_pixel", nearest: "round_prefer_floor", sizes: [2, 2] },
    [1, 9, 12, 6],
  ],
  [{ mode: "nearest", coordinates: "pytorch_half_pixel", nearest: "floor", sizes: [2, 2] }, [1, 9, 2, 3]],
  [
    {
      mode: "nearest",
      coordinates: "pytorch_half_pixel",
      nearest: "round_prefer_floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [1, 1, 4, 9, 9, 16],
  ],
  [
    {
      mode: "nearest",
      coordinates: "pytorch_half_pixel",
      nearest: "floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [1, 1, 1, 4, 9, 9],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel_symmetric", nearest: "round_prefer_floor", sizes: [4, 5] },
    [1, 4, 4, 9, 16, 2, 13, 13, 3, 18, 2, 13, 13, 3, 18, 12, 8, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel_symmetric", nearest: "floor", sizes: [4, 5] },
    [1, 1, 4, 9, 16, 1, 1, 4, 9, 16, 2, 2, 13, 3, 18, 12, 12, 8, 6, 6],
  ],
  [
    { mode: "nearest", coordinates: "half_pixel_symmetric", nearest: "round_prefer_floor", sizes: [2, 2] },
    [1, 9, 12, 6],
  ],
  [{ mode: "nearest", coordinates: "half_pixel_symmetric", nearest: "floor", sizes: [2, 2] }, [1, 9, 2, 3]],
  [
    {
      mode: "nearest",
      coordinates: "half_pixel_symmetric",
      nearest: "round_prefer_floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [2, 13, 13, 3, 3, 18],
  ],
  [
    {
      mode: "nearest",
      coordinates: "half_pixel_symmetric",
      nearest: "floor",
      scales: [0.6, 1.7],
      keepScale: true,
    },
    [2, 2, 13, 13, 3, 3],
  ],
  [
    { mode: "linear", coordinates: "half_pixel", sizes: [4, 5] },
    [
      1, 3.1, 6.5, 11.1, 16, 1.625, 7.225, 7.4375, 8.85, 17.25, 5.75, 9.5125, 7.625, 6.9375, 13.5, 12, 9.2, 7,
      6, 6,
    ],
  ],
  [{ mode: "linear", coordinates: "half_pixel", sizes: [2, 2] }, [3.75, 12, 9.375, 7.125]],
  [{ mode: "linear", coordinates: "half_pixel", sizes: [1, 1] }, [8]],
  [
    { mode: "linear", coordinates: "half_pixel", scales: [0.6, 1.7], keepScale: true },
    [1.33333, 3.5, 6.83333, 7, 8.42157, 14.10784],
  ],
  [
    { mode: "linear", coordinates: "asymmetric", sizes: [4, 5] },
    [1, 3.4, 7, 11.8, 16, 1.75, 8.95, 7, 9.7, 17.5, 7, 9.8, 6.9, 7.5, 12, 12, 8.8, 6.8, 6, 6],
  ],
  [{ mode: "linear", coordinates: "asymmetric", sizes: [2, 2] }, [1, 9, 7, 4.5]],
  [{ mode: "linear", coordinates: "asymmetric", sizes: [1, 1] }, [1]],
  [
    { mode: "linear", coordinates: "asymmetric", scales: [0.6, 1.7], keepScale: true },
    [1, 2.76471, 4.88235, 7.82353, 11.47059, 15.58823],
  ],
  [
    { mode: "linear", coordinates: "align_corners", sizes: [4, 5] },
    [
      1, 3.25, 6.5, 10.75, 16, 1.66667, 7.91667, 7.5, 8.08333, 17.33333, 5.33333, 9.83333, 7.66667, 6.5, 14,
      12, 9, 7, 6, 6,
    ],
  ],
  [{ mode: "linear", coordinates: "align_corners", sizes: [2, 2] }, [1, 16, 12, 6]],
  [{ mode: "linear", coordinates: "align_corners", sizes: [1, 1] }, [1]],
  [
    { mode: "linear", coordinates: "align_corners", scales: [0.6, 1.7], keepScale: true },
    [1, 2.8, 5, 8, 11.8, 16],
  ],
  [
    { mode: "linear", coordinates: "pytorch_half_pixel", sizes: [4, 5] },
    [
      1, 3.1, 6.5, 11.1, 16, 1.625, 7.225, 7.4375, 8.85, 17.25, 5.75, 9.5125, 7.625, 6.9375, 13.5, 12, 9.2, 7,
      6, 6,
    ],
  ],
  [{ mode: "linear", coordinates: "pytorch_half_pixel", sizes: [2, 2] }, [3.75, 12, 9.375, 7.125]],
  [{ mode: "linear", coordinates: "pytorch_half_pixel", sizes: [1, 1] }, [1]],
  [
    { mode: "linear", coordinates: "pytorch_half_pixel", scales: [0.6, 1.7], keepScale: true },
    [1, 2.14706, 3.91176, 6.79412, 10.02941, 14.14706],
  ],
  [
    { mode: "linear", coordinates: "half_pixel_symmetric", sizes: [4, 5] },
    [
      1, 3.1, 6.5, 11.1, 16, 1.625, 7.225, 7.4375, 8.85, 17.25, 5.75, 9.5125, 7.625, 6.9375, 13.5, 12, 9.2, 7,
      6, 6,
    ],
  ],
  [{ mode: "linear", coordinates: "half_pixel_symmetric", sizes: [2, 2] }, [3.75, 12, 9.375, 7.125]],
  [{ mode: "linear", coordinates: "half_pixel_symmetric", sizes: [1, 1] }, [8]],
  [
    { mode: "linear", coordinates: "half_pixel_symmetric", scales: [0.6, 1.7], keepScale: true },
    [2.32353, 8.79412, 10.94118, 5.05882, 8.7353, 17.55882],
  ],
  [
    { mode: "cubic", coordinates: "half_pixel", sizes: [4, 5] },
    [
      0.78086, 2.00726, 6.01733, 11.89341, 16.24681, -0.05222, 8.18515, 7.19434, 8.06952, 19.43389, 5.32011,
      11.34722, 7.42944, 5.37766, 14.53178, 13.02618, 9.21469, 6.55322, 5.75775, 5.07327,
    ],
  ],
  [{ mode: "cubic", coordinates: "half_pixel", sizes: [2, 2] }, [3.42114, 12.32886, 10.01624, 6.54236]],
  [{ mode: "cubic", coordinates: "half_pixel", sizes: [1, 1] }, [7.625]],
  [
    { mode: "cubic", coordinates: "half_pixel", scales: [0.6, 1.7], keepScale: true },
    [0.14075, 3.11096, 6.97042, 6.46528, 8.22427, 14.78671],
  ],
  [
    { mode: "cubic", coordinates: "asymmetric", sizes: [4, 5] },
    [
      1, 2.992, 6.52, 12.256, 16.67201, 0.71875, 10.30759, 6.11205, 8.96945, 20.23038, 7.09375, 11.30675,
      6.22612, 6.33862, 12.9795, 13.05469, 8.5661, 6.53398, 5.5777, 4.5825,
    ],
  ],
  [{ mode: "cubic", coordinates: "asymmetric", sizes: [2, 2] }, [1, 9, 7.09375, 3.9375]],
  [{ mode: "cubic", coordinates: "asymmetric", sizes: [1, 1] }, [1]],
  [
    { mode: "cubic", coordinates: "asymmetric", scales: [0.6, 1.7], keepScale: true },
    [1, 2.26247, 4.89945, 7.31549, 11.90718, 15.68593],
  ],
  [
    { mode: "cubic", coordinates: "align_corners", sizes: [4, 5] },
    [
      1, 2.79297, 6.125, 11.11328, 16, 0.57407, 9.07342, 7.26389, 7.11061, 18.70371, 5.25926, 11.76707,
      7.47685, 4.84288, 14.44444, 12, 9.11719, 6.625, 5.78906, 6,
    ],
  ],
  [{ mode: "cubic", coordinates: "align_corners", sizes: [2, 2] }, [1, 16, 12, 6]],
  [{ mode: "cubic", coordinates: "align_corners", sizes: [1, 1] }, [1]],
  [
    { mode: "cubic", coordinates: "align_corners", scales: [0.6, 1.7], keepScale: true },
    [1, 2.296, 5.00001, 7.52, 12.256, 16],
  ],
  [
    { mode: "cubic", coordinates: "pytorch_half_pixel", sizes: [4, 5] },
    [
      0.78086, 2.00726, 6.01733, 11.89341, 16.24681, -0.05222, 8.18515, 7.19434, 8.06952, 19.43389, 5.32011,
      11.34722, 7.42944, 5.37766, 14.53178, 13.02618, 9.21469, 6.55322, 5.75775, 5.07327,
    ],
  ],
  [
    { mode: "cubic", coordinates: "pytorch_half_pixel", sizes: [2, 2] },
    [3.42114, 12.32886, 10.01624, 6.54236],
  ],
  [{ mode: "cubic", coordinates: "pytorch_half_pixel", sizes: [1, 1] }, [1]],
  [
    { mode: "cubic", coordinates: "pytorch_half_pixel", scales: [0.6, 1.7], keepScale: true },
    [0.70787, 1.76677, 3.82801, 6.3518, 10.27567, 14.50056],
  ],
  [
    { mode: "cubic", coordinates: "half_pixel_symmetric", sizes: [4, 5] },
    [
      0.78086, 2.00726, 6.01733, 11.89341, 16.24681, -0.05222, 8.18515, 7.19434, 8.06953, 19.43389, 5.32011,
      11.34723, 7.42944, 5.37766, 14.53178, 13.02618, 9.2147, 6.55322, 5.75775, 5.07327,
    ],
  ],
  [
    { mode: "cubic", coordinates: "half_pixel_symmetric", sizes: [2, 2] },
    [3.42114, 12.32886, 10.01623, 6.54235],
  ],
  [{ mode: "cubic", coordinates: "half_pixel_symmetric", sizes: [1, 1] }, [7.625]],
  [
    { mode: "cubic", coordinates: "half_pixel_symmetric", scales: [0.6, 1.7], keepScale: true },
    [2.25594, 10.0409, 11.87406, 3.63545, 7.43295, 17.65328],
  ],
  [
    { mode: "cubic", coordinates: "half_pixel", excludeOutside: true, cubicA: -0.5, sizes: [5, 3] },
    [
      1.13009, 6.13679, 15.18835, 1.64682, 6.8209, 16.03983, 3.36105, 7.75, 16.18381, 8.78151, 7.16791,
      9.59917, 12.18604, 6.67453, 5.20788,
    ],
  ],
  [
    { mode: "cubic", coordinates: "asymmetric", excludeOutside: true, cubicA: -0.5, sizes: [5, 3] },
    [
      1, 5.44445, 14.24138, 0.9084, 8.55217, 14.3314, 3.71654, 10.07524, 12.21721, 10.58647, 7.6391, 7.00389,
      13.15384, 6.74359, 5.05571,
    ],
  ],
];

test("Resize as ONNX Runtime", async () => {
  for (const [attrs, expect] of onnxRuntime) {
    const exact = attrs.mode === "nearest";
    const c: Case = {
      inputs: [t([1, 3, 4, 1], { data: image })],
      attrs,
      expect: [expect],
      tolerance: exact ? 0 : 3e-6,
    };
    await check("Resize", c).catch((e: Error) => assert.fail(`${JSON.stringify(attrs)}: ${e.message}`));
  }
});

test("nearest as TFLite: ⌊(o + ½)·scale⌋ in float32, half away from zero for aligned corners", () => {
  const rows = (from: number, to: number, mode: string, how: string) => [
    ...nearest({ from, to, scale: to / from, inverse: true }, mode, how),
  ];
  assert.deepEqual(rows(4, 2, "half_pixel", "round_prefer_ceil"), [1, 3]);
  assert.deepEqual(rows(2, 4, "half_pixel", "round_prefer_ceil"), [0, 0, 1, 1]);
  assert.deepEqual(rows(3, 5, "align_corners", "round_half_away"), [0, 1, 1, 2, 2]);
  assert.deepEqual(rows(3, 6, "asymmetric", "floor"), [0, 0, 1, 1, 2, 2]);
  // 13·(47/13 in float32) is below 47: a division by 13/47 in float32 would not say so.
  for (const [from, to] of [
    [1, 49],
    [10, 7],
    [35, 25],
    [640, 13],
  ] as const)
    assert.deepEqual(
      rows(from, to, "asymmetric", "floor"),
      Array.from({ length: to }, (_, o) =>
        Math.min(from - 1, Math.floor(Math.fround(o * Math.fround(from / to)))),
      ),
    );
});

test("Resize of quantised images, where parameters may change", async () => {
  const attrs = { mode: "linear", coordinates: "asymmetric", sizes: [1, 4] };
  const x = (dtype: "int8" | "uint8", data: number[], quant = affine(0.5, 3)) =>
    t([1, 1, 2, 1], { dtype, data, quant });
  await check("Resize", {
    inputs: [x("int8", [-3, 2])],
    attrs: { ...attrs, sizes: [1, 6] },
    expect: [[-3, -1, 0, 2, 2, 2]],
  });
  await check("Resize", { inputs: [x("uint8", [254, 255])], attrs, expect: [[254, 255, 255, 255]] });
  // real 1, 3.5 → 1, 2.25, 3.5, 3.5 at scale 0.25 from 10
  const other = { outputs: [{ quant: affine(0.25, 10) }] };
  await check("Resize", { inputs: [x("uint8", [5, 10])], attrs, ...other, expect: [[14, 19, 24, 24]] });
  await check("Resize", {
    inputs: [x("uint8", [5, 10])],
    attrs: { ...attrs, mode: "nearest", nearest: "floor" },
    ...other,
    expect: [[14, 14, 24, 24]],
  });
});

test("Resize over batches, channels and types", async () => {
  for (const dtype of ["float32", "float16", "int8", "uint8"] as const)
    for (const mode of ["nearest", "linear", "cubic"])
      for (const d of [1, 3, 8, 17]) {
        const data = Array.from(
          { length: 2 * 5 * 6 * d },
          (_, i) => ((i * 37) % 101) / (dtype === "float32" ? 7 : 1),
        );
        const exact = mode === "nearest";
        const tolerance = exact ? 0 : dtype === "float32" ? 2e-6 : dtype === "float16" ? 1e-3 : 1;
        const inputs = [
          t([2, 5, 6, d], {
            dtype,
            data: data.map(Math.fround),
            ...(dtype.includes("int") && { quant: affine(0.5, 3) }),
          }),
        ];
        await check("Resize", { inputs, attrs: { mode, sizes: [9, 4] }, tolerance });
      }
  await check("Resize", {
    inputs: [t([0, 2, 2, 3])],
    attrs: { mode: "linear", sizes: [4, 4] },
    shape: [0, 4, 4, 3],
  });
});

test("sizes of a resize", () => {
  const infer = (h: Dim, attrs: Attrs): readonly Dim[] => {
    const { graph } = graphOf("Resize", { inputs: [{ shape: [1, h, 10, 3] as number[] }], attrs });
    return inferGraph(graph).get(graph.outputs[0] as Tensor)?.shape ?? [];
  };
  assert.deepEqual(infer("H", { scales: [2, 0.5] }), [1, "2*H", 5, 3]);
  assert.deepEqual(infer("4*H", { scales: [0.5, 0.6] }), [1, "2*H", 6, 3]);
  assert.deepEqual(infer("H", { sizes: [7, 7] }), [1, 7, 7, 3]);
  assert.throws(() => infer(4, {}), ModelError);
  assert.throws(() => infer(4, { scales: [0, 1] }), ModelError);
  assert.throws(() => infer(4, { sizes: [-1, 1] }), ModelError);
  assert.throws(() => infer(0, { sizes: [1, 1] }), ModelError);
  assert.throws(() => infer(4, { sizes: [1, 1], coordinates: "tf_crop_and_resize" }), ModelError);
  assert.throws(() => infer(4, { scales: [1e300, 1e300] }), ModelError);
});
