// Row tables against the image itself: whatever an entry points at reads as the padded image does there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder } from "../assembler.js";
import { moduleImports } from "../imports.js";
import type { ArgWord } from "../kernel.js";
import type { Epilogue } from "./epilogue.js";
import { gemmLayout, scratchOf, type Window, windowArgs } from "./gemm.js";
import { fillByte, zeros } from "./row_edge.js";
import { type RowKind, rowTable } from "./rows.js";

let seed = 7;
const upTo = (n: number): number => {
  seed = (seed * 48271) % 0x7fffffff;
  return seed % (n + 1);
};

/** Where zeros, the argument block, the scratch and the image lie. */
const [zeroAt, argsAt, scratchAt] = [1024, 8192, 16384];

interface Case {
  readonly kind: RowKind;
  readonly mr: number;
  readonly images: number;
  /** Bytes of a pixel. */
  readonly pitch: number;
  readonly window: Window;
  readonly fill: number;
}

function randomCase(): Case {
  const kind = upTo(1) ? "line" : "window";
  const [h, w] = [1 + upTo(9), 1 + upTo(40)];
  const kernel = [1 + upTo(4), 1 + upTo(4)] as const;
  const stride = [1 + upTo(2), 1 + upTo(2)] as const;
  const dilation = [1 + upTo(1), kind === "line" ? 1 : 1 + upTo(1)] as const;
  const before = [upTo(kernel[0]), upTo(kernel[1])] as const;
  const outputs = (size: number, d: 0 | 1): number =>
    Math.floor((size + before[d] + upTo(kernel[d]) - dilation[d] * (kernel[d] - 1) - 1) / stride[d]) + 1;
  const pitch = upTo(1) ? 1 + upTo(6) : 4 * (1 + upTo(9));
  const [oh, ow] = [Math.max(1, outputs(h, 0)), Math.max(1, outputs(w, 1))];
  const window = { h, w, oh, ow, stride, dilation, pad: before, kernel };
  const strides = { rowBytes: w * pitch, imageBytes: h * w * pitch };
  return {
    kind,
    mr: 2 + upTo(4),
    images: 1 + upTo(1),
    pitch,
    window: { ...window, ...strides },
    fill: upTo(255),
  };
}

function check(c: Case): void {
  const { kind, mr, window: g, pitch } = c;
  const [kh, kw] = g.kernel;
  const taps = kind === "line" ? kh : kh * kw;
  const rows = c.images * g.oh * g.ow;
  const plan = { rows, taps, rowInput: pitch, rowKind: kind, window: g, pitchBytes: pitch };
  const { chunk, patches, bytes } = scratchOf(plan, { mr, nr: 8 });
  const layout = gemmLayout({ operands: [], numbers: [] } as unknown as Epilogue);
  const m = new ModuleBuilder();
  const fn = rowTable(m, kind, mr, layout, kind === "line" ? fillByte : zeros);
  m.func(["i32", "i32"], [], (f) => f.i32(argsAt).get(0).get(1).i32(0).call(fn), "fill");
  const imageAt = Math.ceil((scratchAt + bytes) / 16) * 16;
  const size = c.images * g.imageBytes;
  const memory = new WebAssembly.Memory({ initial: Math.ceil((imageAt + size + 15) / 65536) });
  // The image ends where memory does, but for what is left of a vector: what is read behind that traps.
  const x = memory.buffer.byteLength - size - 15;
  const imports = moduleImports(memory);
  imports.env.scratch.value = scratchAt;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(m.build()), imports);
  const words = layout.words({ x, zero: zeroAt, ...windowArgs(plan, patches), fill: c.fill });
  new Int32Array(memory.buffer).set(
    words.map((w) => (w as ArgWord & { value?: number }).value ?? 0),
    argsAt / 4,
  );
  const u8 = new Uint8Array(memory.buffer);
  for (let i = 0; i < size; i++) u8[x + i] = (i * 37 + (i >> 8)) & 255;
  for (let from = 0; from < rows; from += chunk) {
    u8.fill(0x55, scratchAt, scratchAt + bytes);
    const n = Math.min(chunk, rows - from);
    (instance.exports.fill as (from: number, n: number) => void)(from, n);
    assert.ok(
      u8.subarray(scratchAt + bytes, x).every((b) => b === 0),
      "scratch overrun",
    );
    for (let r = 0; r < n; r++) checkPixel(c, u8, x, { table: scratchAt, taps, r, pixel: from + r });
  }
}

interface Pixel {
  readonly table: number;
  readonly taps: number;
  readonly r: number;
  readonly pixel: number;
}

function checkPixel(c: Case, u8: Uint8Array, x: number, p: Pixel): void {
  const { kind, mr, window: g, pitch } = c;
  const words = new Int32Array(u8.buffer);
  const entry = (tap: number): number =>
    words[p.table / 4 + Math.floor(p.r / mr) * mr * (p.taps + 1) + tap * mr + (p.r % mr)] as number;
  assert.equal(entry(p.taps), p.pixel);
  const [ox, oy] = [p.pixel % g.ow, Math.floor(p.pixel / g.ow) % g.oh];
  const image = x + Math.floor(p.pixel / g.ow / g.oh) * g.imageBytes;
  for (let k = 0; k < g.kernel[0] * g.kernel[1]; k++) {
    const [ky, kx] = [Math.floor(k / g.kernel[1]), k % g.kernel[1]];
    const iy = oy * g.stride[0] - g.pad[0] + ky * g.dilation[0];
    const ix = ox * g.stride[1] - g.pad[1] + kx * g.dilation[1];
    const at = kind === "line" ? entry(ky) + kx * pitch : entry(k);
    const row = iy >= 0 && iy < g.h;
    const inside = row && ix >= 0 && ix < g.w;
    if (kind === "window" || !row) {
      const want = inside
        ? image + iy * g.rowBytes + ix * pitch
        : zeroAt + (kind === "line" ? kx * pitch : 0);
      assert.equal(at, want, JSON.stringify([c, p]));
      continue;
    }
    const want = inside
      ? u8.slice(image + iy * g.rowBytes + ix * pitch, image + iy * g.rowBytes + (ix + 1) * pitch)
      : new Uint8Array(pitch).fill(c.fill);
    assert.deepEqual(u8.slice(at, at + pitch), want, JSON.stringify([c, p, ky, kx]));
  }
}

test("row tables of random windows read as the padded image does", () => {
  for (let i = 0; i < 150; i++) check(randomCase());
});
