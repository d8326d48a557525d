// Small constant matrices times vectors in registers: the transforms of Winograd's convolution. Rows that
// differ only in the signs of some columns (points p and −p of Bᵀ) share their sums: even ± odd. Columns that
// do (of Aᵀ) are added and subtracted first. Constants come from a table into locals before the loop:
// an inline constant would be rebuilt at each use (235 against 140 cycles for a 6×6 tile).
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Matrix } from "./winograd_toom.js";

interface Term {
  readonly c: number;
  readonly i: number;
}
/** even + odd is row `plus`; even − odd is row `minus`, where there is one. */
interface Sum {
  readonly even: readonly Term[];
  readonly odd: readonly Term[];
  readonly plus: number;
  readonly minus: number;
}

/** How a matrix is multiplied, and the constants that takes. */
export interface Linear {
  readonly butterflies: readonly (readonly [number, number])[];
  readonly sums: readonly Sum[];
  readonly constants: readonly number[];
}

/** b is a with the signs of some, but not of all elements changed. */
const mirrored = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((x, i) => Math.abs(Math.abs(x) - Math.abs(b[i] as number)) < 1e-12) &&
  a.some((x, i) => x !== 0 && x * (b[i] as number) > 0) &&
  a.some((x, i) => x * (b[i] as number) < 0);

const column = (m: Matrix, j: number): number[] => m.map((row) => row[j] as number);

export function linear(matrix: Matrix): Linear {
  const rows = matrix.map((r) => [...r]);
  const width = rows[0]?.length ?? 0;
  const butterflies: [number, number][] = [];
  for (let a = 0; a < width; a++) {
    const b = a + 1;
    if (b >= width || !mirrored(column(matrix, a), column(matrix, b))) continue;
    butterflies.push([a, b]);
    for (const row of rows) {
      const c = row[a] as number;
      const same = c === row[b];
      row[a] = same ? c : 0;
      row[b] = same ? 0 : c;
    }
    a++;
  }
  const sums: Sum[] = [];
  const terms = (row: readonly number[], when: (i: number) => boolean): Term[] =>
    row.flatMap((c, i) => (c !== 0 && when(i) ? [{ c, i }] : []));
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r] as number[];
    const next = rows[r + 1];
    if (next && mirrored(row, next)) {
      const same = (i: number): boolean => (row[i] as number) * (next[i] as number) > 0;
      sums.push({ even: terms(row, same), odd: terms(row, (i) => !same(i)), plus: r, minus: ++r });
    } else sums.push({ even: terms(row, () => true), odd: [], plus: r, minus: -1 });
  }
  const used = sums.flatMap((s) => [...orderly(s.even), ...orderly(s.odd)].map((t) => t.c));
  const constants = [...new Set(used.filter((c) => c !== 1 && c !== -1).map(Math.fround))];
  return { butterflies, sums, constants };
}

/** Terms with a coefficient of one first: they need no multiplication to begin with. */
const orderly = (terms: readonly Term[]): Term[] =>
  [...terms].sort((a, b) => Number(b.c === 1) - Number(a.c === 1));

/** A linear map in one function; made before the loops, used inside them. */
export class LinearCode {
  readonly #constants = new Map<number, Local>();
  readonly #even: Local[];
  readonly #odd: Local[];

  /** @param table local: address of the constants, one float32 each; without it they are in the code */
  constructor(
    private readonly f: FunctionBuilder,
    private readonly l: Linear,
    private readonly lanes: number,
    private readonly fma: boolean,
    table?: Local,
    offset = 0,
  ) {
    l.constants.forEach((c, i) => {
      const local = f.local("v128");
      if (table === undefined) f.f32x4(c);
      else f.get(table).mem("v128.load32_splat", offset + 4 * i);
      f.set(local);
      this.#constants.set(c, local);
    });
    this.#even = f.someLocals(lanes, "v128");
    this.#odd = f.someLocals(lanes, "v128");
  }

  /**
   * Multiplies `xs` (a row of `lanes` locals for each element; overwritten by butterflies).
   * `out` is called for each row of the matrix, in order, with what pushes one lane of the result.
   */
  emit(xs: readonly (readonly Local[])[], out: (row: number, push: (lane: number) => void) => void): void {
    const { f, l, lanes } = this;
    const x = (i: number, lane: number): Local => (xs[i] as readonly Local[])[lane] as Local;
    const t = this.#even;
    for (const [a, b] of l.butterflies) {
      for (let v = 0; v < lanes; v++)
        f.get(x(a, v))
          .get(x(b, v))
          .op("f32x4.add")
          .set(t[v] as Local);
      for (let v = 0; v < lanes; v++) f.get(x(a, v)).get(x(b, v)).op("f32x4.sub").set(x(b, v));
      for (let v = 0; v < lanes; v++) f.get(t[v] as Local).set(x(a, v));
    }
    for (const s of l.sums) {
      if (s.minus < 0) {
        out(s.plus, (v) => this.#sum(orderly(s.even), (i) => x(i, v)));
        continue;
      }
      for (const [terms, into] of [
        [s.even, this.#even],
        [s.odd, this.#odd],
      ] as const)
        for (let v = 0; v < lanes; v++) {
          this.#sum(orderly(terms), (i) => x(i, v));
          f.set(into[v] as Local);
        }
      const both = (op: "f32x4.add" | "f32x4.sub") => (v: number) =>
        void f
          .get(this.#even[v] as Local)
          .get(this.#odd[v] as Local)
          .op(op);
      out(s.plus, both("f32x4.add"));
      out(s.minus, both("f32x4.sub"));
    }
  }

  /** Pushes Σ c·x: the first term, then one after the other. */
  #sum(terms: readonly Term[], x: (i: number) => Local): void {
    const { f } = this;
    const last = terms[terms.length - 1] as Term;
    const rest = terms.slice(0, -1);
    const k = this.#constants.get(Math.fround(last.c));
    if (rest.length === 0) {
      f.get(x(last.i));
      if (k !== undefined) f.get(k).op("f32x4.mul");
      else if (last.c === -1) f.op("f32x4.neg");
    } else if (k === undefined) {
      this.#sum(rest, x);
      f.get(x(last.i)).op(last.c === 1 ? "f32x4.add" : "f32x4.sub");
    } else if (this.fma) {
      f.get(x(last.i)).get(k);
      this.#sum(rest, x);
      f.op("f32x4.relaxed_madd");
    } else {
      this.#sum(rest, x);
      f.get(x(last.i)).get(k).op("f32x4.mul", "f32x4.add");
    }
  }
}
