// GB/s (bytes read and written once) and µs of generated loop nests on one thread. Build first
// (npm run build), then:  node bench/nest.mjs [name…] [--ms 150] [--fma] [--wide]
import { parseArgs } from "node:util";
import * as e from "../packages/minnow/dist/compiler/expr.js";
import { erf } from "../packages/minnow/dist/compiler/functions.js";
import { along, at, fromTable } from "../packages/minnow/dist/compiler/nest.js";
import { contiguousStrides } from "../packages/minnow/dist/compiler/program.js";
import { newArray } from "../packages/minnow/dist/graph/dtype.js";
import { baseline } from "../packages/minnow/dist/targets/wasm/engine.js";
import { start, stepOf } from "../packages/minnow/dist/targets/wasm/nest_harness.js";
import { planNest } from "../packages/minnow/dist/targets/wasm/nest.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ms: { type: "string", default: "150" },
    fma: { type: "boolean", default: false },
    wide: { type: "boolean", default: false },
  },
});

const tensor = (dtype, shape) => {
  const data = newArray(
    dtype,
    Math.max(
      1,
      shape.reduce((a, b) => a * b, 1),
    ),
  );
  for (let i = 0; i < data.length; i++)
    data[i] = dtype === "float32" ? ((i * 37) % 101) / 50 - 1 : (i * 37) % 101;
  return { dtype, shape, strides: contiguousStrides(shape), offset: 0, data };
};
const walk = (value, shape) => ({ value, index: along(shape, shape.length) });
const f = (i) => e.input(i, "f32");
const million = [1 << 20];

const map = (result, ...dtypes) => [
  {
    loops: million,
    reduce: [],
    operands: dtypes.slice(0, -1).map((_, i) => walk(i, million)),
    result,
    out: walk(dtypes.length - 1, million),
  },
  dtypes.map((t) => tensor(t, million)),
];
const move = (loops, index, from) => [
  { loops, reduce: [], operands: [{ value: 0, index }], result: f(0), out: walk(1, loops) },
  [tensor("float32", from), tensor("float32", loops)],
];
const fold = (loops, reduce, index, from, combine, body, result = e.accumulator("f32")) => [
  { loops, reduce, operands: [{ value: 0, index }], body, combine, result, out: walk(1, loops) },
  [tensor("float32", from), tensor("float32", loops)],
];
const int8 = (x, scale, zero) => e.mul(e.cast(e.sub(x, zero), "f32"), scale);
const q = (i) => e.input(i, "i32");
const window = (l, r, stride, pad) => ({
  offset: -pad,
  terms: [
    [l, stride],
    [r, 1],
  ],
  guard: pad > 0,
});

function resize() {
  const shape = [1, 128, 128, 32];
  const tap = (y, x) => ({ value: 0, index: [at(0), fromTable(y), fromTable(x), at(3)] });
  const operands = [tap(4, 6), tap(4, 7), tap(5, 6), tap(5, 7)];
  for (let t = 0; t < 2; t++)
    for (let k = 0; k < 2; k++) operands.push({ value: 1 + 2 * t + k, index: [at(1 + t)] });
  for (let t = 0; t < 2; t++) operands.push({ value: 5 + t, index: [at(1 + t)] });
  const lerp = (a, b, w) => e.add(a, e.mul(e.sub(b, a), w));
  const table = (high) => {
    const t = tensor("int32", [128]);
    t.data.forEach((_, i) => (t.data[i] = Math.min(63, (i >> 1) + high)));
    return t;
  };
  return [
    {
      loops: shape,
      reduce: [],
      operands,
      result: lerp(lerp(f(0), f(1), f(9)), lerp(f(2), f(3), f(9)), f(8)),
      out: walk(7, shape),
    },
    [
      tensor("float32", [1, 64, 64, 32]),
      table(0),
      table(1),
      table(0),
      table(1),
      tensor("float32", [128]),
      tensor("float32", [128]),
      tensor("float32", shape),
    ],
  ];
}

const cases = {
  "relu 1M": () => map(e.max(f(0), 0), "float32", "float32"),
  "add 1M": () => map(e.add(f(0), f(1)), "float32", "float32", "float32"),
  "sigmoid 1M": () => map(e.sigmoid(f(0)), "float32", "float32"),
  "gelu (erf) 1M": () =>
    map(e.mul(e.mul(f(0), 0.5), e.add(erf(e.mul(f(0), Math.SQRT1_2)), 1)), "float32", "float32"),
  "int8 add requantised 1M": () =>
    map(
      e.add(
        e.cast(
          e.nearest(e.clamp(e.mul(e.add(int8(q(0), 0.02, 3), int8(q(1), 0.03, -5)), 31.7), -132, 123)),
          "i32",
        ),
        4,
      ),
      "int8",
      "int8",
      "int8",
    ),
  "float16 to float32 1M": () => map(f(0), "float16", "float32"),
  "float32 to float16 1M": () => map(f(0), "float32", "float16"),
  "uint8 to float32, normalised 1M": () =>
    map(e.mul(e.sub(e.cast(q(0), "f32"), 127.5), 1 / 127.5), "uint8", "float32"),
  "max pool 3x3s2 55x55x96": () =>
    fold(
      [1, 27, 27, 96],
      [3, 3],
      [at(0), window(1, 4, 2, 0), window(2, 5, 2, 0), at(3)],
      [1, 55, 55, 96],
      "max",
      f(0),
    ),
  "max pool 3x3s2 padded 112x112x64": () => {
    const c = fold(
      [1, 56, 56, 64],
      [3, 3],
      [at(0), window(1, 4, 2, 1), window(2, 5, 2, 1), at(3)],
      [1, 112, 112, 64],
      "max",
      f(0),
    );
    c[0].operands[0].fill = -Infinity;
    return c;
  },
  "transpose 512x512": () => move([512, 512], [at(1), at(0)], [512, 512]),
  "softmax 2 classes 4420, exp(x - max) / sum": () => {
    const shape = [4420, 2];
    const row = (value) => ({ value, index: [at(0)] });
    return [
      {
        loops: shape,
        reduce: [],
        operands: [walk(0, shape), row(1), row(2)],
        result: e.div(e.exp(e.sub(f(0), f(1))), f(2)),
        out: walk(3, shape),
      },
      [
        tensor("float32", shape),
        tensor("float32", [4420]),
        tensor("float32", [4420]),
        tensor("float32", shape),
      ],
    ];
  },
  "int8 concat 56x56x(24+40)": () => [
    {
      loops: [3136, 24],
      reduce: [],
      operands: [walk(0, [3136, 24])],
      result: q(0),
      out: { value: 1, index: [at(0), at(1)] },
    },
    [tensor("int8", [3136, 24]), { ...tensor("int8", [3136, 64]), shape: [3136, 24] }],
  ],
  "argmax uint8 66049x21": () => [
    {
      loops: [66049],
      reduce: [21],
      operands: [{ value: 0, index: [at(0), at(1)] }],
      body: q(0),
      combine: "argmax",
      result: e.accumulator("i32"),
      out: walk(1, [66049]),
    },
    [tensor("uint8", [66049, 21]), tensor("int32", [66049])],
  ],
  "transpose 512x512, + 1": () => {
    const c = move([512, 512], [at(1), at(0)], [512, 512]);
    c[0].result = e.add(f(0), 1);
    return c;
  },
  "NHWC>NCHW 56x56x64, add": () => {
    const shape = [1, 64, 56, 56];
    const turned = { value: 0, index: [at(0), at(2), at(3), at(1)] };
    return [
      {
        loops: shape,
        reduce: [],
        operands: [turned, walk(1, shape)],
        result: e.add(f(0), f(1)),
        out: walk(2, shape),
      },
      [tensor("float32", [1, 56, 56, 64]), tensor("float32", shape), tensor("float32", shape)],
    ];
  },
  "NCHW>NHWC 3x224x224": () => move([1, 224, 224, 3], [at(0), at(3), at(1), at(2)], [1, 3, 224, 224]),
  "NHWC>NCHW 224x224x3": () => move([1, 3, 224, 224], [at(0), at(2), at(3), at(1)], [1, 224, 224, 3]),
  "NHWC>NCHW 56x56x64": () => move([1, 64, 56, 56], [at(0), at(2), at(3), at(1)], [1, 56, 56, 64]),
  "attention 64x12x64 > 12x64x64": () => move([12, 64, 64], [at(1), at(0), at(2)], [64, 12, 64]),
  "softmax max 256x1000": () => fold([256], [1000], [at(0), at(1)], [256, 1000], "max", f(0)),
  "softmax sum exp 256x1000": () => fold([256], [1000], [at(0), at(1)], [256, 1000], "sum", e.exp(f(0))),
  "argmax 256x1000": () => {
    const c = fold([256], [1000], [at(0), at(1)], [256, 1000], "argmax", f(0), e.accumulator("i32"));
    c[1][1] = tensor("int32", [256]);
    return c;
  },
  "mean over HW 7x7x1280": () =>
    fold(
      [1, 1280],
      [7, 7],
      [at(0), at(2), at(3), at(1)],
      [1, 7, 7, 1280],
      "sum",
      f(0),
      e.mul(e.accumulator("f32"), 1 / 49),
    ),
  "mean over HW 13x13x1000": () =>
    fold(
      [1, 1000],
      [13, 13],
      [at(0), at(2), at(3), at(1)],
      [1, 13, 13, 1000],
      "sum",
      f(0),
      e.mul(e.accumulator("f32"), 1 / 169),
    ),
  "sum 1M": () => fold([], million, [at(0)], million, "sum", f(0)),
  "resize bilinear 64>128 x32": resize,
  "pad 1,1 56x56x64": () =>
    move(
      [1, 58, 58, 64],
      [
        at(0),
        { offset: -1, terms: [[1, 1]], guard: true },
        { offset: -1, terms: [[2, 1]], guard: true },
        at(3),
      ],
      [1, 56, 56, 64],
    ),
  "pad channels and add 64x64x24>28": () => {
    const shape = [64, 64, 28];
    const padded = { value: 0, index: [at(0), at(1), { offset: 0, terms: [[2, 1]], guard: true }] };
    return [
      {
        loops: shape,
        reduce: [],
        operands: [padded, walk(1, shape)],
        result: e.max(e.add(f(0), f(1)), 0),
        out: walk(2, shape),
      },
      [tensor("float32", [64, 64, 24]), tensor("float32", shape), tensor("float32", shape)],
    ];
  },
  "bias NHWC 56x56x64": () => {
    const shape = [56, 56, 64];
    return [
      {
        loops: shape,
        reduce: [],
        operands: [walk(0, shape), { value: 1, index: [at(2)] }],
        result: e.max(e.add(f(0), f(1)), 0),
        out: walk(2, shape),
      },
      [tensor("float32", shape), tensor("float32", [64]), tensor("float32", shape)],
    ];
  },
  "scale rows 256x1000": () => {
    const shape = [256, 1000];
    return [
      {
        loops: shape,
        reduce: [],
        operands: [walk(0, shape), { value: 1, index: [at(0)] }],
        result: e.mul(f(0), f(1)),
        out: walk(2, shape),
      },
      [tensor("float32", shape), tensor("float32", [256]), tensor("float32", shape)],
    ];
  },
  "conv 3x3 28x28x64>64 (generic)": () => {
    const out = [1, 28, 28, 64];
    return [
      {
        loops: out,
        reduce: [3, 3, 64],
        operands: [
          { value: 0, index: [at(0), window(1, 4, 1, 1), window(2, 5, 1, 1), at(6)] },
          { value: 1, index: [at(3), at(4), at(5), at(6)] },
        ],
        body: e.mul(f(0), f(1)),
        combine: "sum",
        result: e.max(e.accumulator("f32"), 0),
        out: walk(2, out),
      },
      [tensor("float32", out), tensor("float32", [64, 3, 3, 64]), tensor("float32", out)],
    ];
  },
  "matmul 128x128x128 (generic)": () => [
    {
      loops: [128, 128],
      reduce: [128],
      operands: [
        { value: 0, index: [at(0), at(2)] },
        { value: 1, index: [at(2), at(1)] },
      ],
      body: e.mul(f(0), f(1)),
      combine: "sum",
      result: e.accumulator("f32"),
      out: walk(2, [128, 128]),
    },
    [tensor("float32", [128, 128]), tensor("float32", [128, 128]), tensor("float32", [128, 128])],
  ],
};

console.log(`node ${process.version}${flags.fma ? " fma" : ""}`);
for (const [name, make] of Object.entries(cases)) {
  if (positionals.length > 0 && !positionals.some((p) => name.includes(p))) continue;
  const [nest, values] = make();
  const planned = planNest(stepOf(nest, values), { ...baseline, fma: flags.fma, wide: flags.wide });
  const running = start(planned, values);
  const until = performance.now() + Number(flags.ms);
  let best = Infinity;
  for (let n = 0; performance.now() < until || n < 3; n++) {
    const t = performance.now();
    running.run();
    best = Math.min(best, performance.now() - t);
  }
  const bytes = values.reduce((a, t) => a + t.data.byteLength, 0);
  const work = [...nest.loops, ...nest.reduce].reduce((a, b) => a * b, 1);
  const calls = Math.ceil(planned.extent / planned.grain);
  console.log(
    `${name.padEnd(36)} ${(best * 1000).toFixed(1).padStart(8)} µs ${(bytes / best / 1e6).toFixed(1).padStart(6)} GB/s` +
      ` ${(work / best / 1e6).toFixed(2).padStart(6)} G steps/s ${String(calls).padStart(5)} calls ${String(running.code.length).padStart(6)} B code`,
  );
}
