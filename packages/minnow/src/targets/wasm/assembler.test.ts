// Every opcode row is validated by the engine in a function that gives it operands of its types; the
// arithmetic rows are executed on numbers whose answers are known. Relaxed rows are skipped where the
// engine lacks them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FunctionBuilder, ModuleBuilder, type WasmType } from "./assembler.js";
import { moduleImports } from "./imports.js";
import { byteSink } from "./bytes.js";
import { type Op, opcodes } from "./opcodes.js";

const rows = Object.keys(opcodes) as Op[];

/** Operand types of an instruction, from its name; the result is dropped or returned. */
function signature(op: Op): { operands: WasmType[]; result?: WasmType; memory?: boolean; lane?: number } {
  const [prefix = "", name = ""] = op.split(".");
  const simd = /x\d+$/.test(prefix) || prefix === "v128";
  const own = (simd ? "v128" : prefix) as WasmType;
  if (op === "unreachable") return { operands: [] };
  if (op === "drop") return { operands: ["i32"] };
  if (op === "select") return { operands: ["i32", "i32", "i32"], result: "i32" };
  if (prefix === "memory") return { operands: ["i32", "i32", "i32"] };
  if (name.endsWith("_lane") && prefix === "v128")
    return name.startsWith("load")
      ? { operands: ["i32", "v128"], result: "v128", memory: true, lane: 0 }
      : { operands: ["i32", "v128"], memory: true, lane: 0 };
  if (name.startsWith("load")) return { operands: ["i32"], result: own, memory: true };
  if (name.startsWith("store")) return { operands: ["i32", own], memory: true };
  const element = ({ f32x4: "f32", i64x2: "i64", f64x2: "f64" }[prefix] ?? "i32") as WasmType;
  if (name === "splat") return { operands: [element], result: "v128" };
  if (name.startsWith("extract_lane")) return { operands: ["v128"], result: element, lane: 0 };
  if (name === "replace_lane") return { operands: ["v128", element], result: "v128", lane: 0 };
  if (/^(any_true|all_true|bitmask)$/.test(name)) return { operands: ["v128"], result: "i32" };
  if (simd && /^(shl|shr_[su])$/.test(name)) return { operands: ["v128", "i32"], result: "v128" };
  if (/bitselect|madd/.test(name)) return { operands: ["v128", "v128", "v128"], result: "v128" };
  if (simd) {
    const one = /^(not|neg|abs|ceil|floor|trunc|nearest|sqrt|extend|extadd|trunc_sat|convert)/.test(name);
    return { operands: one ? ["v128"] : ["v128", "v128"], result: "v128" };
  }
  const from = /_(i32|i64|f32|f64)(_[su])?$/.exec(name)?.[1] as WasmType | undefined;
  if (from) return { operands: [from], result: own };
  if (name === "eqz") return { operands: [own], result: "i32" };
  if (/^(eq|ne|[lg][te])(_[su])?$/.test(name)) return { operands: [own, own], result: "i32" };
  if (/^(clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt|extend\d+_s)$/.test(name))
    return { operands: [own], result: own };
  return { operands: [own, own], result: own };
}

function push(f: FunctionBuilder, t: WasmType): void {
  if (t === "i32") f.i32(0);
  else if (t === "i64") f.i64(0);
  else if (t === "f32") f.f32(0);
  else if (t === "f64") f.f32(0).op("f64.promote_f32");
  else f.i32x4(0);
}

function single(op: Op): Uint8Array<ArrayBuffer> {
  const s = signature(op);
  const m = new ModuleBuilder();
  m.func([], s.result ? [s.result] : [], (f) => {
    for (const t of s.operands) push(f, t);
    if (op === "memory.copy") {
      f.op(op);
      f.code.byte(0).byte(0);
    } else if (op === "memory.fill") {
      f.op(op);
      f.code.byte(0);
    } else if (s.memory && s.lane !== undefined) f.memLane(op, s.lane);
    else if (s.memory) f.mem(op);
    else if (s.lane !== undefined) f.lane(op, s.lane);
    else f.op(op);
  });
  return m.build();
}

test("every opcode validates with the operands its name says", (t) => {
  const lacking: string[] = [];
  for (const op of rows) {
    if (WebAssembly.validate(single(op))) continue;
    assert.match(op, /relaxed/, `${op} does not validate`);
    lacking.push(op);
  }
  if (lacking.length > 0) t.diagnostic(`this engine lacks ${lacking.join(" ")}`);
});

test("no two names share a code", () => {
  assert.equal(new Set(Object.values(opcodes)).size, rows.length);
});

/** Runs `op` on scalars; vectors hold one value in all lanes, and lane 0 of the result comes back. */
function run(op: Op, ...x: number[]): number | bigint {
  const s = signature(op);
  const prefix = op.split(".")[0] as string;
  const m = new ModuleBuilder();
  const shape = s.result === "v128" ? prefix : "";
  const result = (
    shape ? (prefix === "f32x4" ? "f32" : prefix === "i64x2" ? "i64" : "i32") : s.result
  ) as WasmType;
  m.func(
    [],
    [result],
    (f) => {
      s.operands.forEach((t, i) => {
        const v = x[i] as number;
        if (t === "i32") f.i32(v);
        else if (t === "i64") f.i64(v);
        else if (t === "f32") f.f32(v);
        else if (t === "f64") f.f32(v).op("f64.promote_f32");
        else if (prefix === "f32x4" && !op.includes("convert")) f.f32x4(v);
        else if (prefix === "i8x16") f.i32(v).op("i8x16.splat");
        else if (prefix === "i16x8") f.i32(v).op("i16x8.splat");
        else if (prefix === "i64x2") f.i64(v).op("i64x2.splat");
        else if (op.includes("trunc_sat_f32x4")) f.f32x4(v);
        else f.i32x4(v);
      });
      f.op(op);
      if (shape)
        f.lane(`${shape}.extract_lane${shape === "i8x16" || shape === "i16x8" ? "_s" : ""}` as Op, 0);
    },
    "f",
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  return (exports.f as () => number | bigint)();
}

test("scalar arithmetic and comparisons compute", () => {
  const big = (n: number): bigint => BigInt(n);
  const binary: [string, (a: number, b: number) => number][] = [
    ["add", (a, b) => a + b],
    ["sub", (a, b) => a - b],
    ["mul", (a, b) => a * b],
  ];
  for (const [name, f] of binary) {
    assert.equal(run(`i32.${name}` as Op, 7, -3), f(7, -3));
    assert.equal(run(`i64.${name}` as Op, 7, -3), big(f(7, -3)));
    assert.equal(run(`f32.${name}` as Op, 7.5, -3), f(7.5, -3));
    for (const v of ["i8x16", "i16x8", "i32x4", "f32x4", "i64x2"] as const) {
      const op = `${v}.${name}`;
      if (op in opcodes) assert.equal(Number(run(op as Op, 7, -3)), f(7, -3), op);
    }
  }
  const integer: [string, number][] = [
    ["div_s", -2],
    ["rem_s", -1],
    ["and", -7 & 3],
    ["or", -7 | 3],
    ["xor", -7 ^ 3],
    ["shl", -56],
    ["shr_s", -1],
  ];
  for (const [name, want] of integer) {
    assert.equal(run(`i32.${name}` as Op, -7, 3), want, name);
    assert.equal(run(`i64.${name}` as Op, -7, 3), big(want), name);
  }
  assert.equal(run("i32.shr_u", -1, 28), 15);
  assert.equal(run("i32.div_u", -1, 2), 0x7fffffff);
  assert.equal(run("i32.rem_u", -1, 16), 15);
  assert.equal(run("i64.shr_u", -1, 60), 15n);
  for (const t of ["i32", "i64", "f32"] as const)
    for (const [a, b] of [
      [1, 2],
      [2, 1],
      [-3, -3],
      [-3, 2],
    ] as const) {
      const s = t === "f32" ? "" : "_s";
      const results = [a === b, a !== b, a < b, a > b, a <= b, a >= b].map(Number);
      const ops = [`${t}.eq`, `${t}.ne`, `${t}.lt${s}`, `${t}.gt${s}`, `${t}.le${s}`, `${t}.ge${s}`] as Op[];
      assert.deepEqual(
        ops.map((op) => run(op, a, b)),
        results,
      );
      const lanes = ["eq", "ne", "lt", "gt", "le", "ge"];
      if (t !== "i64")
        lanes.forEach((name, i) => {
          const op = `${t}x4.${name}${i > 1 ? s : ""}` as Op;
          const hit = run(op, a, b) as number;
          assert.equal(Number.isNaN(hit) || hit === -1, results[i] === 1, op);
        });
    }
});

test("float functions and conversions compute", () => {
  const unary: [string, number, number][] = [
    ["abs", -2.5, 2.5],
    ["neg", 2.5, -2.5],
    ["ceil", 2.1, 3],
    ["floor", -2.1, -3],
    ["trunc", -2.9, -2],
    ["nearest", 2.5, 2],
    ["sqrt", 9, 3],
  ];
  for (const [name, x, want] of unary) {
    assert.equal(run(`f32.${name}` as Op, x), want);
    assert.equal(run(`f32x4.${name}` as Op, x), want);
  }
  for (const t of ["f32", "f32x4"]) {
    assert.equal(run(`${t}.min` as Op, 1, -2), -2);
    assert.equal(run(`${t}.max` as Op, 1, -2), 1);
    assert.ok(Number.isNaN(run(`${t}.max` as Op, 1, Number.NaN)));
    assert.equal(run(`${t}.div` as Op, 1, 4), 0.25);
  }
  assert.equal(run("f32x4.pmin", 1, -2), -2);
  assert.equal(run("f32x4.pmax", 1, -2), 1);
  assert.ok(Number.isNaN(run("f32x4.pmax", Number.NaN, 3)));
  assert.equal(run("f32x4.pmax", 3, Number.NaN), 3);
  assert.equal(run("i32.trunc_sat_f32_s", 3e9), 2 ** 31 - 1);
  assert.equal(run("i32.trunc_sat_f32_s", Number.NaN), 0);
  assert.equal(run("i64.trunc_sat_f32_s", -2.5), -2n);
  assert.equal(run("i32x4.trunc_sat_f32x4_s", -3e9), -(2 ** 31));
  assert.equal(run("f32x4.convert_i32x4_s", -5), -5);
  assert.equal(run("f32.convert_i32_s", -5), -5);
  assert.equal(run("f32.convert_i32_u", -1), 2 ** 32);
  assert.equal(run("f32.convert_i64_s", -5), -5);
  assert.equal(run("i32.reinterpret_f32", 1), 0x3f800000);
  assert.equal(run("f32.reinterpret_i32", 0x40490fdb), Math.fround(Math.PI));
  assert.equal(run("i64.extend_i32_s", -1), -1n);
  assert.equal(run("i64.extend_i32_u", -1), 0xffffffffn);
  assert.equal(run("i32.wrap_i64", 2 ** 32 + 5), 5);
  assert.equal(run("i32.extend8_s", 0x80), -128);
  assert.equal(run("i32.extend16_s", 0x8000), -32768);
  assert.equal(run("i32.clz", 1), 31);
  assert.equal(run("i32.ctz", 8), 3);
});

test("narrow integer lanes compute", () => {
  const rowsOf: [Op, number[], number][] = [
    ["i8x16.sub_sat_u", [1, 2], 0],
    ["i8x16.min_s", [-1, 1], -1],
    ["i8x16.min_u", [-1, 1], 1],
    ["i8x16.max_s", [-1, 1], 1],
    ["i8x16.max_u", [-1, 1], -1],
    ["i8x16.abs", [-5], 5],
    ["i8x16.neg", [5], -5],
    ["i16x8.mul", [300, 300], (90000 << 16) >> 16],
    ["i16x8.min_s", [-1, 1], -1],
    ["i16x8.max_s", [-1, 1], 1],
    ["i16x8.abs", [-5], 5],
    ["i16x8.shl", [1, 3], 8],
    ["i16x8.shr_s", [-8, 1], -4],
    ["i16x8.shr_u", [-1, 12], 15],
    ["i8x16.shl", [1, 3], 8],
    ["i8x16.shr_s", [-8, 1], -4],
    ["i8x16.shr_u", [-1, 4], 15],
    ["i32x4.shl", [1, 3], 8],
    ["i32x4.shr_s", [-8, 1], -4],
    ["i32x4.shr_u", [-1, 28], 15],
    ["i32x4.min_s", [-1, 1], -1],
    ["i32x4.max_s", [-1, 1], 1],
    ["i32x4.min_u", [-1, 1], 1],
    ["i32x4.max_u", [-1, 1], -1],
    ["i32x4.abs", [-5], 5],
    ["i32x4.neg", [5], -5],
    ["i32x4.dot_i16x8_s", [3, 5], 15],
    ["i32x4.extend_low_i16x8_s", [-5], -5],
    ["i32x4.extend_low_i16x8_u", [0xfffb], 0xfffb],
    ["i16x8.narrow_i32x4_s", [70000, 70000], 32767],
    ["i32x4.lt_u", [1, -1], -1],
    ["i32x4.gt_u", [-1, 1], -1],
    ["i32x4.extadd_pairwise_i16x8_s", [0x00020003, 0], 5],
  ];
  for (const [op, x, want] of rowsOf) {
    // widening rows take their operands as i32 lanes here: the low half carries the number
    assert.equal(Number(op.includes("narrow_i32x4") ? runBits(op, x) : run(op, ...x)), want, op);
  }
});

/** i32x4 operands whatever the row's own shape. */
function runBits(op: Op, x: readonly number[]): number {
  const m = new ModuleBuilder();
  m.func(
    [],
    ["i32"],
    (f) => {
      for (const v of x) f.i32x4(v);
      f.op(op).lane("i16x8.extract_lane_s", 0);
    },
    "f",
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  return (
    new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory)).exports
      .f as () => number
  )();
}

test("fused multiply-add, where the engine has it", (t) => {
  if (!WebAssembly.validate(single("f32x4.relaxed_madd"))) return t.skip("no relaxed SIMD here");
  assert.equal(run("f32x4.relaxed_madd", 2, 3, 4), 10);
  assert.equal(run("f32x4.relaxed_nmadd", 2, 3, 4), -2);
});

test("control flow, locals, calls and memory", () => {
  const m = new ModuleBuilder();
  const square = m.func(["i32"], ["i32"], (f) => f.get(0).get(0).op("i32.mul"));
  m.func(
    ["i32"],
    ["i32"],
    (f) => {
      const [i, sum] = f.someLocals(2, "i32") as [number, number];
      f.get(0).set(i);
      f.repeat(i, () => f.get(sum).get(i).call(square).op("i32.add").set(sum));
      f.i32(8).get(sum).store();
      f.i32(8).load().i32(100).op("i32.gt_s").if("i32").i32(8).load().else().i32(-1).end();
    },
    "sum",
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  const sum = exports.sum as (n: number) => number;
  assert.equal(sum(10), 385);
  assert.equal(sum(3), -1);
  assert.equal(new Int32Array(memory.buffer)[2], 14);
});

test("LEB128 at its edges", () => {
  const bytes = (write: (s: ReturnType<typeof byteSink>) => void): number[] => {
    const s = byteSink();
    write(s);
    return [...s.take()];
  };
  assert.deepEqual(
    bytes((s) => s.u32(0).u32(127).u32(128)),
    [0, 127, 0x80, 1],
  );
  assert.deepEqual(
    bytes((s) => s.u32(0xffffffff)),
    [255, 255, 255, 255, 15],
  );
  assert.deepEqual(
    bytes((s) => s.s32(-1).s32(63).s32(64).s32(-64).s32(-65)),
    [0x7f, 63, 0xc0, 0, 0x40, 0xbf, 0x7f],
  );
  assert.deepEqual(
    bytes((s) => s.s64(-(2n ** 63n))),
    [128, 128, 128, 128, 128, 128, 128, 128, 128, 127],
  );
});
