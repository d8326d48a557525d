// What the int16 tiles read, made in scratch from 8 bits just before: rows of x less their zero point, with the
// taps side by side, and the panels of weights. Weights stay bytes in memory, so half as much comes from the outer
// caches, in one stream; widening a panel costs 1 % of multiplying it with a hundred rows.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";
import { roundUp } from "./operands.js";

interface Taps {
  readonly taps: number;
  /** Elements of a tap. */
  readonly k: number;
}

/** Taps and k of a row that is so short that it is widened without loops. */
export const shortKey = ({ taps, k }: Taps): string => (taps * roundUp(k, 16) <= 64 ? `${taps}x${k}` : "");

/**
 * (args, rows): the row table's bytes as int16 rows minus the zero point, and the tiles' own table of
 * one tap. Vectors overrun a tap's end; the next tap, row or padding is written after.
 */
export function widenRows(
  m: ModuleBuilder,
  layout: Layout<string>,
  mr: number,
  signed: boolean,
  p: Taps,
): number {
  const short = shortKey(p);
  return m.once(`widen_${mr}_${signed}_${short}`, () =>
    m.func(["i32", "i32"], [], (f) => {
      const arg = (name: string) => layout.local(f, 0, name);
      const [table, row, out] = [arg("scratch"), arg("wide"), arg("tileTable")];
      const [taps, k, rowWide] = [arg("rowTaps"), arg("tapK"), arg("rowWide")];
      f.get(row).get(table).op("i32.add").set(row).get(out).get(table).op("i32.add").set(out);
      const zero = f.local("v128");
      layout.push(f, 0, "zeroPoint").op("i16x8.splat").set(zero);
      const [tiles, lane, tap, at, to, from, n] = f.someLocals(7, "i32");
      const tapsOfRow = (): void => {
        f.get(table).set(at).get(row).set(to).get(taps).set(tap);
        f.repeat(tap, () => {
          f.get(at).load().set(from);
          f.get(k).i32(15).op("i32.add").i32(4).op("i32.shr_u").set(n);
          f.repeat(n, () => {
            widen(f, signed, zero, from, to, 0, 0);
            f.inc(from, 16).inc(to, 32);
          });
          // Back from the overrun: the tap ends k elements after its start.
          f.inc(at, 4 * mr)
            .get(row)
            .get(taps)
            .get(tap)
            .op("i32.sub")
            .i32(1)
            .op("i32.add")
            .get(k)
            .op("i32.mul");
          f.i32(1).op("i32.shl", "i32.add").set(to);
        });
      };
      const shortTaps = (): void => {
        for (let t = 0; t < p.taps; t++) {
          f.get(table)
            .load(4 * mr * t)
            .set(from);
          for (let e = 0; e < p.k; e += 16) widen(f, signed, zero, from, row, e, 2 * (t * p.k + e));
        }
        f.get(table)
          .i32(4 * mr * p.taps)
          .op("i32.add")
          .set(at);
      };
      f.get(1).ceilDiv(mr).set(tiles);
      f.repeat(tiles, () => {
        f.i32(mr).set(lane);
        f.repeat(lane, () => {
          if (short) shortTaps();
          else tapsOfRow();
          f.get(out)
            .get(row)
            .store()
            .get(out)
            .get(at)
            .load()
            .store(4 * mr);
          f.inc(out, 4).inc(table, 4).incBy(row, rowWide);
        });
        f.inc(out, 4 * mr)
          .get(table)
          .get(taps)
          .i32(4 * mr)
          .op("i32.mul", "i32.add")
          .set(table);
      });
    }),
  );
}

/** Sixteen elements. */
export function widen(
  f: FunctionBuilder,
  signed: boolean,
  zero: Local,
  from: Local,
  to: Local,
  fromAt: number,
  toAt: number,
): void {
  for (const half of [0, 1]) {
    f.get(to)
      .get(from)
      .mem(signed ? "v128.load8x8_s" : "v128.load8x8_u", fromAt + 8 * half);
    f.get(zero)
      .op("i16x8.sub")
      .vstore(toAt + 16 * half);
  }
}

/**
 * (from, to, quads): packed bytes (packBytes) as int16 pairs, [pair][8 channels][2], as they are multiplied. Panels
 * that lie one behind the other are one run of quads.
 */
export function widenWeights(m: ModuleBuilder): number {
  return m.once("widen_weights", () =>
    m.func(["i32", "i32", "i32"], [], (f) => {
      const [from, to, quads] = [0, 1, 2];
      f.repeat(quads, () => {
        // Bytes: 4 channels of a pair, the same of the next pair, then 4 channels more.
        [0, 2, 1, 3].forEach((place, i) => {
          f.get(to)
            .get(from)
            .mem("v128.load8x8_s", 8 * i)
            .vstore(16 * place);
        });
        f.inc(from, 32).inc(to, 64);
      });
    }),
  );
}
