// Transcendental functions that few models have: constructors, and what they expand to (expand.ts).
import { expSmall, learnFunctions, polynomial } from "./expand.js";
import * as e from "./expr.js";
import type { Expr } from "./expr.js";

/** (tanh(x) − x) / x³ as a polynomial in x² on 0…0.6 */
const tanhSmall = [
  -0.33333298563957214, 0.13331958651542664, -0.053786683827638626, 0.02080538496375084,
  -0.005905868951231241,
];

/** 1 − 2 / (e^2|x| + 1), and near 0, where that cancels, an odd polynomial. */
function expandTanh(x: Expr): Expr {
  const z = e.mul(x, x);
  const small = e.add(e.mul(e.mul(z, polynomial(z, tanhSmall)), x), x);
  const a = e.abs(x);
  const large = e.sub(1, e.div(e.num(2), e.add(expSmall(e.min(e.mul(a, 2), 20)), 1)));
  return withSign(e.select(e.lt(a, 0.6), small, large), x); // −0 stays
}

/** |magnitude| with the sign of x. */
const withSign = (magnitude: Expr, x: Expr): Expr =>
  e.bits(e.or(e.bits(magnitude, "i32"), e.and(e.bits(x, "i32"), -(2 ** 31))), "f32");

/** x = m·2^n with m in √½…√2. Subnormals are scaled up first. Meaningless for x ≤ 0, ∞, NaN. */
export function split(x: Expr): { m: Expr; n: Expr } {
  const tiny = e.lt(x, 2 ** -126);
  const normal = e.select(tiny, e.mul(x, 2 ** 24), x);
  const up = e.shr(e.sub(e.bits(normal, "i32"), 0x3f3504f3), 23);
  const m = e.bits(e.sub(e.bits(normal, "i32"), e.shl(up, 23)), "f32");
  return { m, n: e.sub(up, e.select(tiny, e.num(24, "i32"), e.num(0, "i32"))) };
}

/** (log(1 + f) − f + f²/2) / f³ on √½ − 1 … √2 − 1 */
const logTail = [
  0.33333316445350647, -0.25000810623168945, 0.2000228613615036, -0.16624554991722107, 0.14181190729141235,
  -0.13128751516342163, 0.12881650030612946, -0.07859622687101364,
];

function expandLog(x: Expr): Expr {
  const { m, n } = split(x);
  const f = e.sub(m, 1);
  const k = e.cast(n, "f32");
  const ff = e.mul(f, f);
  const tail = e.add(e.mul(e.mul(ff, f), polynomial(f, logTail)), e.mul(k, Math.LN2 - 0.693359375));
  const y = e.add(e.add(e.sub(tail, e.mul(ff, 0.5)), f), e.mul(k, 0.693359375));
  const infinite = e.select(e.eq(x, 0), Number.NEGATIVE_INFINITY, e.select(e.lt(x, 0), Number.NaN, x));
  return e.select(e.and(e.gt(x, 0), e.lt(x, Number.POSITIVE_INFINITY)), y, infinite);
}

/** erf(x) / x − 1 as a polynomial in x² on 0…1 */
const erfSmall = [
  0.12837916612625122, -0.3761262595653534, 0.11283600330352783, -0.026854444295167923, 0.005189535673707724,
  -0.0008020842215046287, 7.889122935011983e-5,
];
/** −log(1 − erf(x)) on 1…3.95 */
const erfLarge = [
  0.0003537230077199638, 1.1270400285720825, 0.6382256746292114, 0.10303734987974167, -0.021805308759212494,
  0.0029396049212664366, -0.00018557377916295081,
];

function expandErf(x: Expr): Expr {
  const magnitude = e.abs(x);
  const a = e.min(magnitude, 3.95);
  const small = e.add(e.mul(x, polynomial(e.mul(a, a), erfSmall)), x);
  const large = e.sub(1, expSmall(e.neg(polynomial(a, erfLarge))));
  return e.select(e.lt(magnitude, 1), small, withSign(large, x));
}

/** π/2 in pieces of 8 bits, so that n times each is exact up to n = 2^16; the last is the rest. */
const halfPi = [
  1.5703125, 0.0004825592041015625, 1.2665987014770508e-6, 9.89530235528946e-10, 2.5579538487363607e-12,
  5.384581669432009e-15, 5.721188916458728e-18,
];

/** x − Σ terms of falling size: the first two are exact, what the next three round away is added back. */
function subtractAll(x: Expr, terms: readonly Expr[]): Expr {
  let r = x;
  let lost: Expr | undefined;
  terms.forEach((t, i) => {
    if (i > 4) return;
    const next = e.sub(r, t);
    if (i > 1) {
      const error = e.sub(e.sub(r, next), t);
      lost = lost ? e.add(lost, error) : error;
    }
    r = next;
  });
  const rest = terms.slice(5).reduceRight((sum, t) => e.add(sum, t));
  return e.add(r, e.sub(lost as Expr, rest));
}

/** sin(x + quarter·π/2). Good to |x| = 10^5; beyond that it loses accuracy and stays within ±1. */
function expandSine(x: Expr, quarter: 0 | 1): Expr {
  const turns = e.add(e.nearest(e.mul(x, 2 / Math.PI)), 0); // −0 would turn sin(−0) into +0
  const rest = subtractAll(
    x,
    halfPi.map((piece) => e.mul(turns, piece)),
  );
  const r = e.clamp(rest, -1, 1);
  const n = e.add(e.cast(turns, "i32"), quarter);
  const z = e.mul(r, r);
  const sine = e.add(
    e.mul(e.mul(z, r), polynomial(z, [-0.16666655242443085, 0.008332166820764542, -0.00019515659369062632])),
    r,
  );
  const tail = polynomial(z, [0.04166664555668831, -0.0013887352542951703, 2.443661287543364e-5]);
  const cosine = e.add(e.sub(e.mul(e.mul(z, z), tail), e.mul(z, 0.5)), 1);
  const value = e.select(e.and(n, 1), cosine, e.select(e.eq(x, 0), x, sine)); // keeps −0
  return e.bits(e.xor(e.bits(value, "i32"), e.shl(e.and(n, 2), 30)), "f32");
}

learnFunctions({
  log: expandLog,
  tanh: expandTanh,
  erf: expandErf,
  sin: (x) => expandSine(x as Expr, 0),
  cos: (x) => expandSine(x as Expr, 1),
});
export const log = e.unary("log");
export const tanh = e.unary("tanh");
export const erf = e.unary("erf");
export const sin = e.unary("sin");
export const cos = e.unary("cos");
