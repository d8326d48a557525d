// Loads and stores of elements: storage types (float16, int8, …) to compute types and back, one element
// or groups of four lanes. Narrow integers load as i32x4; stores keep the low bits (as a C cast does)
// unless the value is known to fit, which is cheaper. float16 goes by integer code: no engine has it.
import type { DType } from "../../graph/dtype.js";
import type { FunctionBuilder, Local } from "./assembler.js";
import type { Op } from "./opcodes.js";

const range8 = (signed: boolean): [number, number] => (signed ? [-128, 127] : [0, 255]);

/** What the integers of a storage type can be. */
export function rangeOfDType(t: DType): [number, number] {
  if (t === "bool") return [0, 1];
  if (t === "int8" || t === "uint8") return range8(t === "int8");
  if (t === "int16") return [-32768, 32767];
  return [-(2 ** 31), 2 ** 31 - 1];
}

const scalarLoads: Partial<Record<DType, Op>> = {
  float32: "f32.load",
  int8: "i32.load8_s",
  uint8: "i32.load8_u",
  bool: "i32.load8_u",
  int16: "i32.load16_s",
  int32: "i32.load",
  int64: "i64.load",
};
const scalarStores: Partial<Record<DType, Op>> = {
  float32: "f32.store",
  int8: "i32.store8",
  uint8: "i32.store8",
  bool: "i32.store8",
  int16: "i32.store16",
  int32: "i32.store",
  int64: "i64.store",
};

/** Address on the stack → the element in its compute type. */
export function loadScalar(f: FunctionBuilder, t: DType, offset = 0): void {
  if (t === "float16") {
    f.mem("i32.load16_u", offset);
    halfToFloatScalar(f);
    return;
  }
  const op = scalarLoads[t];
  if (!op) throw new TypeError(`no loads of ${t}`);
  f.mem(op, offset);
}

/** Address and value (in its compute type) on the stack → memory. */
export function storeScalar(f: FunctionBuilder, t: DType, offset = 0): void {
  if (t === "float16") {
    f.op("i32.reinterpret_f32");
    floatToHalfScalar(f);
    f.mem("i32.store16", offset);
    return;
  }
  const op = scalarStores[t];
  if (!op) throw new TypeError(`no stores of ${t}`);
  f.mem(op, offset);
}

/**
 * Loads 4·into.length consecutive elements at address + offset into v128 locals: f32x4 or i32x4.
 * int64 has no vector form.
 */
export function loadVectors(
  f: FunctionBuilder,
  t: DType,
  address: Local,
  into: readonly Local[],
  offset = 0,
): void {
  const bytes = t === "int8" || t === "uint8" || t === "bool" ? 1 : t === "int16" || t === "float16" ? 2 : 4;
  for (let i = 0; i < into.length; ) {
    const at = offset + 4 * i * bytes;
    const dst = into[i] as Local;
    f.get(address);
    if (bytes === 4) f.vload(at).set(dst);
    else if (bytes === 2) {
      f.mem(t === "float16" ? "v128.load16x4_u" : "v128.load16x4_s", at);
      if (t === "float16") halfToFloatVector(f);
      f.set(dst);
    } else {
      const sign = t === "int8" ? "s" : "u";
      const pair = into[i + 1];
      if (pair !== undefined) {
        f.mem(`v128.load8x8_${sign}` as Op, at)
          .tee(pair)
          .op(`i32x4.extend_low_i16x8_${sign}` as Op)
          .set(dst);
        f.get(pair)
          .op(`i32x4.extend_high_i16x8_${sign}` as Op)
          .set(pair);
        i += 2;
        continue;
      }
      f.mem("v128.load32_zero", at);
      f.op(`i16x8.extend_low_i8x16_${sign}` as Op, `i32x4.extend_low_i16x8_${sign}` as Op).set(dst);
    }
    i++;
  }
}

/** Loads one element into all four lanes. */
export function loadSplat(f: FunctionBuilder, t: DType, address: Local, offset = 0): void {
  f.get(address);
  if (t === "float32" || t === "int32") {
    f.mem("v128.load32_splat", offset);
    return;
  }
  if (t === "float16") f.mem("i32.load16_u", offset);
  else loadScalar(f, t, offset);
  f.op("i32x4.splat");
  if (t === "float16") halfToFloatVector(f);
}

/**
 * Stores 4·values.length consecutive elements at address + offset. The locals may be overwritten.
 * @param fits the integers are known to lie in the range of `t`; those that don't are clamped to it
 */
export function storeVectors(
  f: FunctionBuilder,
  t: DType,
  address: Local,
  values: readonly Local[],
  offset = 0,
  fits = false,
): void {
  if (t === "float32" || t === "int32") {
    // High half of a pair first: V8 then joins the two into one 256-bit store.
    for (let v = 0; v < values.length; v += 2)
      for (const x of v + 1 < values.length ? [v + 1, v] : [v])
        f.get(address)
          .get(values[x] as Local)
          .vstore(offset + 16 * x);
    return;
  }
  if (t === "int64" || t === "int4" || t === "string") throw new TypeError(`no vector stores of ${t}`);
  const bytes = t === "int16" || t === "float16" ? 2 : 1;
  if (t === "float16") for (const v of values) floatToHalfVector(f, v);
  const value = (v: Local): void => {
    f.get(v);
    if (!fits && t !== "float16") constant(f, bytes === 2 ? 0xffff : 0xff).op("v128.and");
  };
  const narrow16: Op = fits && t !== "float16" ? "i16x8.narrow_i32x4_s" : "i16x8.narrow_i32x4_u";
  const narrow8: Op = fits && t === "int8" ? "i8x16.narrow_i16x8_s" : "i8x16.narrow_i16x8_u";
  for (let i = 0; i < values.length; ) {
    const left = values.length - i;
    const at = offset + 4 * i * bytes;
    const [a, b, c, d] = values.slice(i, i + 4) as [Local, Local, Local, Local];
    f.get(address);
    value(a);
    if (bytes === 1 && left >= 4) {
      // Neighbours as the halves of what V8 pairs into 256 bits, put in order at the end.
      value(c);
      f.op(narrow16);
      value(b);
      value(d);
      f.op(narrow16, narrow8);
      const v = f.local("v128");
      f.tee(v).get(v).shuffle([0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]).vstore(at);
      f.free("v128", v);
      i += 4;
      continue;
    }
    value(left > 1 ? b : a);
    f.op(narrow16);
    if (bytes === 2) {
      if (left > 1) f.vstore(at);
      else f.memLane("v128.store64_lane", 0, at);
      i += Math.min(left, 2);
      continue;
    }
    const packed = f.local("v128");
    f.tee(packed).get(packed).op(narrow8);
    f.free("v128", packed);
    f.memLane(left > 1 ? "v128.store64_lane" : "v128.store32_lane", 0, at);
    i += Math.min(left, 2);
  }
}

/** Stores lane `lane` of a vector as one element; the float16 form overwrites `value`. */
export function storeLane(
  f: FunctionBuilder,
  t: DType,
  address: Local,
  value: Local,
  lane = 0,
  offset = 0,
): void {
  if (t === "float16") {
    f.get(address).get(value).lane("i32x4.extract_lane", lane);
    floatToHalfScalar(f);
    f.mem("i32.store16", offset);
    return;
  }
  f.get(address);
  if (t === "float32" || t === "int32") {
    f.get(value).memLane("v128.store32_lane", lane, offset);
    return;
  }
  f.get(value).lane("i32x4.extract_lane", lane);
  storeScalar(f, t, offset);
}

const hoisted = new WeakMap<FunctionBuilder, Map<number, Local>>();

/**
 * Puts the vector constants that loads and stores of these types need into locals, at the current place
 * of the function, for all code after it (which it must dominate). Without it they are rebuilt at each use.
 */
export function hoistConstants(
  f: FunctionBuilder,
  loads: Iterable<DType>,
  store: DType,
  fits: boolean,
): void {
  const needed = new Set<number>();
  if ([...loads].includes("float16")) for (const c of halfLoad) needed.add(c);
  if (store === "float16") for (const c of halfStore) needed.add(c);
  if (!fits && store === "int16") needed.add(0xffff);
  if (!fits && (store === "int8" || store === "uint8" || store === "bool")) needed.add(0xff);
  const known = hoisted.get(f) ?? new Map<number, Local>();
  hoisted.set(f, known);
  for (const c of needed) {
    if (known.has(c)) continue;
    const local = f.local("v128");
    f.i32x4(c).set(local);
    known.set(c, local);
  }
}

/** Pushes a vector of four equal 32-bit words. */
function constant(f: FunctionBuilder, bits: number): FunctionBuilder {
  const local = hoisted.get(f)?.get(bits);
  return local === undefined ? f.i32x4(bits) : f.get(local);
}

const twoTo112 = 0x77800000;
const oneHalf = 0x3f000000; // 0.5
const rebias = (0xfff - (112 << 23)) | 0;
const halfLoad = [0x7fff, twoTo112, 0x7bff, 0x7f800000, 0x8000];
const halfStore = [
  0x7fffffff,
  oneHalf,
  1,
  rebias,
  0x38800000,
  0x7c00,
  0x477ff000,
  0x7e00,
  0x7f800000,
  0x8000,
];

// binary16 → binary32: place exponent and fraction, then multiply by 2^112, which also renormalises
// subnormals; infinities and NaN get their exponent by hand.

/** i32 half bits on the stack → f32. */
function halfToFloatScalar(f: FunctionBuilder): void {
  const h = f.local("i32");
  f.set(h);
  f.get(h).i32(0x7fff).op("i32.and").i32(13).op("i32.shl", "f32.reinterpret_i32");
  f.f32(2 ** 112).op("f32.mul", "i32.reinterpret_f32");
  f.i32(0x7f800000).i32(0).get(h).i32(0x7fff).op("i32.and").i32(0x7bff).op("i32.gt_u", "select", "i32.or");
  f.get(h).i32(0x8000).op("i32.and").i32(16).op("i32.shl", "i32.or", "f32.reinterpret_i32");
  f.free("i32", h);
}

/** Four half bits in i32 lanes on the stack → f32x4. */
export function halfToFloatVector(f: FunctionBuilder): void {
  const h = f.local("v128");
  const m = f.local("v128");
  f.tee(h);
  constant(f, 0x7fff).op("v128.and").tee(m).i32(13).op("i32x4.shl");
  constant(f, twoTo112).op("f32x4.mul");
  f.get(m);
  constant(f, 0x7bff).op("i32x4.gt_s");
  constant(f, 0x7f800000).op("v128.and", "v128.or");
  f.get(h);
  constant(f, 0x8000).op("v128.and").i32(16).op("i32x4.shl", "v128.or");
  f.free("v128", h, m);
}

// binary32 → binary16, to nearest even. Normal results: add half of the dropped bits (less one, plus
// the kept low bit) and shift. Subnormal results: adding 0.5 to |x| lets the float adder round.

/** i32 float bits on the stack → i32 half bits. */
function floatToHalfScalar(f: FunctionBuilder): void {
  const x = f.local("i32");
  const m = f.local("i32");
  f.tee(x).i32(0x7fffffff).op("i32.and").set(m);
  f.get(m).i32(0x7f800000).op("i32.gt_u").if("i32").i32(0x7e00).else();
  f.get(m).i32(0x477ff000).op("i32.ge_u").if("i32").i32(0x7c00).else();
  f.get(m).i32(0x38800000).op("i32.lt_u").if("i32");
  f.get(m)
    .op("f32.reinterpret_i32")
    .f32(0.5)
    .op("f32.add", "i32.reinterpret_f32")
    .i32(0x3f000000)
    .op("i32.sub");
  f.else();
  f.get(m).get(m).i32(13).op("i32.shr_u").i32(1).op("i32.and", "i32.add");
  f.i32(0xfff - (112 << 23))
    .op("i32.add")
    .i32(13)
    .op("i32.shr_u");
  f.end().end().end();
  f.get(x).i32(16).op("i32.shr_u").i32(0x8000).op("i32.and", "i32.or");
  f.free("i32", x, m);
}

/** f32x4 in a local → half bits in its i32 lanes. */
function floatToHalfVector(f: FunctionBuilder, v: Local): void {
  const m = f.local("v128");
  const r = f.local("v128");
  f.get(v);
  constant(f, 0x7fffffff).op("v128.and").set(m);
  f.get(m);
  constant(f, oneHalf).op("f32x4.add");
  constant(f, 0x3f000000).op("i32x4.sub");
  f.get(m).get(m).i32(13).op("i32x4.shr_u");
  constant(f, 1).op("v128.and", "i32x4.add");
  constant(f, rebias).op("i32x4.add").i32(13).op("i32x4.shr_u");
  f.get(m);
  constant(f, 0x38800000).op("i32x4.lt_s", "v128.bitselect").set(r);
  constant(f, 0x7c00).get(r).get(m);
  constant(f, 0x477ff000).op("i32x4.ge_s", "v128.bitselect").set(r);
  constant(f, 0x7e00).get(r).get(m);
  constant(f, 0x7f800000).op("i32x4.gt_s", "v128.bitselect");
  f.get(v).i32(16).op("i32x4.shr_u");
  constant(f, 0x8000).op("v128.and", "v128.or").set(v);
  f.free("v128", m, r);
}
