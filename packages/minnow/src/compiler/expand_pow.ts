// x^y ≤ 2 ULP: y·log2(x) is needed to 2^−25 absolute, up to 150, so the logarithm is carried as a sum of
// two float32. Factors cut to 12 bits make the leading products exact without a fused multiply-add.
// Constant exponents that people write (2, ½, −1, 3 …) become multiplications and square roots.
import * as e from "./expr.js";
import type { Expr } from "./expr.js";
import { learnFunctions, polynomial, scale } from "./expand.js";
import { split } from "./functions.js";

function expandPow(x: Expr, y: Expr): Expr {
  const simple = y.k === "const" ? constantPower(x, y.v) : undefined;
  return simple ?? generalPow(x, y);
}

function constantPower(x: Expr, y: number): Expr | undefined {
  const root = (): Expr =>
    // +0 for −0, and +∞ for −∞, as IEEE 754's pow has it
    e.select(e.eq(x, Number.NEGATIVE_INFINITY), Number.POSITIVE_INFINITY, e.sqrt(e.add(x, 0)));
  if (y === 0) return e.num(1);
  if (y === 1) return x;
  if (y === 2) return e.mul(x, x);
  if (y === 3) return e.mul(e.mul(x, x), x);
  if (y === -1) return e.div(e.num(1), x);
  if (y === 0.5) return root();
  return y === -0.5 ? e.div(e.num(1), root()) : undefined;
}

/** The upper 12 bits of a float32's significand. */
const upper = (x: Expr): Expr => e.bits(e.and(e.bits(x, "i32"), ~0xfff), "f32");

/** (atanh(s) − s − s³/3) / s⁵ as a polynomial in s², |s| ≤ 0.1716 */
const atanhTail = [0.20000077784061432, 0.1427331566810608, 0.1171550378203392];

/** log2(x) = hi + lo for x > 0; hi has 12 bits. */
function log2Pair(x: Expr): { hi: Expr; lo: Expr } {
  const { m, n } = split(x);
  // s = (m − 1) / (m + 1); log m = 2·atanh(s) = 2s·(1 + s²/3 + s⁴·tail)
  const f = e.sub(m, 1);
  const g = e.add(m, 1);
  const s = e.div(f, g);
  const sHi = upper(s);
  const gHi = upper(g);
  const gLo = e.sub(m, e.sub(gHi, 1));
  const sLo = e.div(e.sub(e.sub(f, e.mul(sHi, gHi)), e.mul(sHi, gLo)), g);
  const s2 = e.mul(s, s);
  const sHi2 = e.mul(sHi, sHi);
  // t = 3 + s² + 3·s⁴·tail, in two parts: 3 + sHi² is the leading one
  const rest = e.add(e.mul(e.mul(s2, s2), e.mul(polynomial(s2, atanhTail), 3)), e.mul(sLo, e.add(sHi, s)));
  const tHi = upper(e.add(e.add(sHi2, 3), rest));
  const tLo = e.sub(rest, e.sub(e.sub(tHi, 3), sHi2));
  // p = s·t in two parts; log2(m) = p · 2 / (3 ln 2)
  const u = e.mul(sHi, tHi);
  const v = e.add(e.mul(sLo, tHi), e.mul(tLo, s));
  const pHi = upper(e.add(u, v));
  const pLo = e.sub(v, e.sub(pHi, u));
  const factor = 2 / (3 * Math.LN2);
  const factorHi = 0.9619140625; // its upper 12 bits
  const zHi = e.mul(pHi, factorHi);
  const zLo = e.add(e.mul(pHi, factor - factorHi), e.mul(pLo, factor));
  const k = e.cast(n, "f32");
  const hi = upper(e.add(e.add(zHi, zLo), k));
  return { hi, lo: e.sub(zLo, e.sub(e.sub(hi, k), zHi)) };
}

/** (2^r − 1) / r on |r| ≤ ½, by e^(r ln 2): (e^q − 1 − q) / q² */
const expTail = [
  0.5, 0.1666666716337204, 0.04166635125875473, 0.00833327230066061, 0.0013941299403086305,
  0.00019914578297175467,
];

/** 2^(hi + lo) for hi + lo in about ±160. */
function exp2Pair(hi: Expr, lo: Expr): Expr {
  const n = e.nearest(e.clamp(e.add(hi, lo), -160, 160));
  const r = e.sub(hi, n);
  const rHi = upper(e.add(r, lo));
  const rLo = e.sub(lo, e.sub(rHi, r));
  const ln2Hi = 0.693115234375; // 12 bits
  const u = e.mul(rHi, ln2Hi);
  const v = e.add(e.mul(rLo, Math.LN2), e.mul(rHi, Math.LN2 - ln2Hi));
  const q = e.add(u, v);
  const w = e.sub(v, e.sub(q, u)); // what q lost
  const p = e.add(e.mul(e.mul(q, q), polynomial(q, expTail)), e.add(w, e.mul(w, q)));
  return scale(e.add(e.add(p, q), 1), e.cast(n, "i32"));
}

function generalPow(x: Expr, y: Expr): Expr {
  const a = e.abs(x);
  const { hi, lo } = log2Pair(a);
  // |y| ≥ 2^32 overflows or vanishes for every x ≠ 1
  const bounded = e.clamp(y, -(2 ** 32), 2 ** 32);
  const yHi = upper(bounded);
  const productHi = e.mul(yHi, hi);
  const productLo = e.add(e.mul(e.sub(bounded, yHi), hi), e.mul(bounded, lo));
  const magnitude = e.add(productHi, productLo);
  const fits = e.lt(e.abs(magnitude), 155);
  const inside = exp2Pair(e.select(fits, productHi, 0), e.select(fits, productLo, 0));
  const beyond = e.select(e.gt(magnitude, 0), Number.POSITIVE_INFINITY, 0);
  const finite = e.select(fits, inside, beyond);

  // |x| = 0 or ∞: 0 or ∞ by the signs of log2|x| and y
  const extreme = e.or(e.eq(a, 0), e.eq(a, Number.POSITIVE_INFINITY));
  const grows = e.eq(e.gt(a, 1), e.gt(y, 0));
  const result = e.select(extreme, e.select(grows, e.num(Number.POSITIVE_INFINITY), 0), finite);

  // negative x (−0 too): odd integers keep the sign, other numbers have no power
  const whole = e.eq(e.trunc(y), y);
  const half = e.mul(y, 0.5);
  const odd = e.and(whole, e.ne(e.trunc(half), half));
  const negative = e.lt(e.bits(x, "i32"), 0);
  const sign = e.and(negative, odd);
  const signed = e.bits(e.xor(e.bits(result, "i32"), e.shl(sign, 31)), "f32");
  const undefinedPower = e.and(
    e.and(e.lt(x, 0), e.gt(x, Number.NEGATIVE_INFINITY)),
    e.xor(whole, e.num(1, "i32")),
  );
  const real = e.select(undefinedPower, Number.NaN, signed);

  const nan = e.or(e.ne(x, x), e.ne(y, y));
  const unit = e.or(
    e.or(e.eq(x, 1), e.eq(y, 0)),
    e.and(e.eq(x, -1), e.eq(e.abs(y), Number.POSITIVE_INFINITY)),
  );
  return e.select(unit, e.num(1), e.select(nan, e.num(Number.NaN), real));
}

learnFunctions({ pow: expandPow });
export const pow = e.binary("pow");
