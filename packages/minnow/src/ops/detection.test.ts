// DetectionPostProcess against what TFLite's own interpreter (ai-edge-litert 2.3, reference kernels) gave
// for two small inputs with equal scores in them, and random ones against the plain reference.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { Attrs } from "../graph/graph.js";
import { inferGraph } from "./infer.js";
import { generator } from "./harness.js";
import { affine, type Case, check, graphOf, t } from "./movement.test.kit.js";

const scales = { yScale: 10, xScale: 10, hScale: 5, wScale: 5 };
const options = { numClasses: 3, nmsScoreThreshold: 0.25, nmsIouThreshold: 0.4, ...scales };
const outputs = Array.from({ length: 4 }, () => ({ dtype: "float32" as const }));

const sixteenths = (...v: number[]): number[] => v.map((x) => x / 16);
const quarters = (...v: number[]): number[] => v.map((x) => x / 4);

test("fast suppression as TFLite: two classes a box, background in front", async () => {
  const boxes = quarters(
    0,
    5,
    5,
    -2,
    -1,
    -2,
    2,
    0,
    3,
    -7,
    6,
    0,
    3,
    -1,
    -2,
    2,
    3,
    -1,
    -1,
    3,
    -3,
    -6,
    2,
    -3,
    -8,
    -3,
    -2,
    -5,
    -6,
    0,
    4,
    -1,
  );
  const scores = sixteenths(
    1,
    14,
    7,
    2,
    11,
    3,
    14,
    3,
    1,
    3,
    6,
    8,
    14,
    11,
    5,
    0,
    3,
    16,
    7,
    11,
    1,
    1,
    14,
    9,
    5,
    5,
    1,
    3,
    0,
    13,
    7,
    2,
  );
  const anchors = sixteenths(
    6,
    2,
    6,
    11,
    0,
    5,
    11,
    7,
    7,
    0,
    8,
    7,
    6,
    2,
    10,
    5,
    1,
    0,
    5,
    7,
    2,
    6,
    6,
    10,
    4,
    7,
    10,
    8,
    2,
    3,
    9,
    9,
  );
  const corners = [
    [-0.062692, -0.265089, 0.234567, 0.243214],
    [0.134245, -0.1001, 0.615755, 0.521975],
    [-0.39709, 0.071875, 0.362715, 0.509375],
    [0.137535, -0.295312, 0.812465, 0.142188],
  ];
  await check("DetectionPostProcess", {
    inputs: [t([1, 8, 4], { data: boxes }), t([1, 8, 4], { data: scores }), t([8, 4], { data: anchors })],
    outputs,
    attrs: { ...options, maxDetections: 4, maxClassesPerDetection: 2 },
    tolerance: 2e-6,
    expect: [
      corners.flatMap((b) => [...b, ...b]),
      [0, 2, 0, 1, 1, 0, 2, 1],
      sixteenths(16, 11, 14, 7, 14, 3, 8, 6),
      [4],
    ],
  });
});

test("regular suppression as TFLite: two detections a class", async () => {
  const boxes = quarters(
    2,
    -3,
    1,
    0,
    -1,
    -3,
    2,
    1,
    0,
    -1,
    -5,
    -2,
    5,
    -1,
    -6,
    5,
    2,
    8,
    0,
    -2,
    -6,
    5,
    10,
    -3,
    -3,
    2,
    -3,
    -1,
    -1,
    1,
    4,
    0,
  );
  const scores = sixteenths(
    5,
    6,
    15,
    2,
    1,
    9,
    15,
    15,
    11,
    1,
    13,
    11,
    2,
    7,
    1,
    13,
    11,
    13,
    12,
    4,
    13,
    4,
    2,
    6,
    8,
    5,
    10,
    10,
    4,
    10,
    6,
    12,
  );
  const anchors = sixteenths(
    2,
    6,
    11,
    10,
    3,
    4,
    7,
    9,
    5,
    4,
    7,
    10,
    2,
    8,
    7,
    6,
    1,
    3,
    10,
    9,
    4,
    0,
    10,
    8,
    1,
    6,
    10,
    8,
    6,
    5,
    8,
    5,
  );
  const corners = [
    [-0.201999, 0.015625, 0.520749, 0.640625],
    [-0.065194, -0.087857, 0.418319, 0.503483],
    [-0.21875, 0.045514, 0.40625, 0.554486],
    [0.142137, -0.048387, 0.482863, 0.517137],
    [0.017634, 0.24987, 0.341742, 0.73138],
  ];
  await check("DetectionPostProcess", {
    inputs: [t([1, 8, 4], { data: boxes }), t([1, 8, 4], { data: scores }), t([8, 4], { data: anchors })],
    outputs,
    attrs: {
      ...options,
      maxDetections: 5,
      maxClassesPerDetection: 1,
      detectionsPerClass: 2,
      useRegularNms: true,
    },
    tolerance: 2e-6,
    expect: [corners.flat(), [1, 2, 0, 1, 2], sixteenths(15, 15, 13, 13, 13), [5]],
  });
});

test("random detections, float and uint8", async () => {
  const random = generator(7);
  for (let k = 0; k < 24; k++) {
    const n = 1 + Math.floor(random() * 40);
    const data = (length: number, to: number): number[] =>
      Array.from({ length }, () => Math.fround(random() * to));
    const bytes = (length: number): number[] => data(length, 256).map(Math.floor);
    const inputs =
      k % 2
        ? [
            t([1, n, 4], { data: data(4 * n, 4) }),
            t([1, n, 4], { data: data(4 * n, 1) }),
            t([n, 4], { data: data(4 * n, 1) }),
          ]
        : [
            t([1, n, 4], { dtype: "uint8", data: bytes(4 * n), quant: affine(0.0625, 128) }),
            t([1, n, 4], { dtype: "uint8", data: bytes(4 * n), quant: affine(1 / 256, 0) }),
            t([n, 4], { dtype: "uint8", data: bytes(4 * n), quant: affine(0.005, 20) }),
          ];
    const attrs: Attrs = {
      ...options,
      maxDetections: 1 + (k % 9),
      maxClassesPerDetection: 1 + (k % 3),
      useRegularNms: k % 4 > 1,
    };
    await check("DetectionPostProcess", {
      inputs,
      outputs,
      attrs,
      tolerance: 1e-5,
    });
  }
});

test("detection refuses what does not fit", () => {
  const bad = (shapes: number[][], attrs: Attrs = {}) => {
    const inputs: Case["inputs"] = shapes.map((s) => t(s));
    const { graph } = graphOf("DetectionPostProcess", {
      inputs,
      outputs,
      attrs: { ...options, maxDetections: 4, ...attrs },
    });
    assert.throws(() => inferGraph(graph), ModelError);
  };
  bad([
    [2, 8, 4],
    [2, 8, 4],
    [8, 4],
  ]);
  bad([
    [1, 8, 4],
    [1, 7, 4],
    [8, 4],
  ]);
  bad([
    [1, 8, 4],
    [1, 8, 2],
    [8, 4],
  ]);
  bad(
    [
      [1, 8, 4],
      [1, 8, 4],
      [8, 4],
    ],
    { nmsIouThreshold: 0 },
  );
  bad(
    [
      [1, 8, 4],
      [1, 8, 4],
      [8, 4],
    ],
    { maxDetections: -1 },
  );
  bad(
    [
      [1, 8, 4],
      [1, 8, 4],
      [8, 4],
    ],
    { maxClassesPerDetection: 0 },
  );
  bad(
    [
      [1, 8, 4],
      [1, 8, 4],
      [8, 4],
    ],
    { maxDetections: 2 ** 40, maxClassesPerDetection: 2 ** 20 },
  );
});
