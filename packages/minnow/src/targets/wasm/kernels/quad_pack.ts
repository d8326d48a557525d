// The code that packs weights of 8-bit tiles (quads.ts); a unit is a panel of 8 channels. Sixteen weights of each row
// are put in order, then four of all channels at a time become a quad, and what does not fit entries of the list.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import { ownBytes } from "../packing.js";
import { argLocals } from "./pack_code.js";
import { quadEntry, quadHeader } from "./quad_code.js";
import { orderVectors } from "./quad_rows.js";

/** Of the code's own bytes: sixteen weights of 8 rows, and which of them change their sign. */
const [rowsAt, changedAt] = [ownBytes, ownBytes + 128];
/** Words of the block that are read or written where they are. */
const [listWord, flipWord, boundWord] = [3, 14, 15];

/** What bounds weights: pairs' sums, the same where rows are in order, or each by itself. */
type Form = "pairs" | "ordered" | "whole";

export interface QuadWords {
  /** A panel's header holds its channels' zero points at first. */
  readonly out: number;
  readonly panelBytes: number;
  /** Where the next entry goes; the code moves it. */
  readonly list: number;
  readonly channels: number;
  readonly rowBytes: number;
  /** Of a tap. */
  readonly k: number;
  readonly taps: number;
  /** Of a tap's last sixteen. */
  readonly lastQuads: number;
  readonly above: number;
  /** Where orders go, bytes of one, and panels that share it. */
  readonly orders: number;
  readonly orderBytes: number;
  readonly shared: number;
  /** What orders are made of (see Orders): the second half of where they go. */
  readonly places: number;
  /** Bit mask of a weight whose sign stays. */
  readonly flip: number;
  /**
   * Of pairs: 4 where two quads at a time share their bounds, else 0. The least weight, where each is bounded by itself.
   * Of no use where rows are in order.
   */
  readonly bound: number;
}

/** Words of the block behind the source's address. */
export const quadWords = (w: QuadWords): number[] => [
  w.out,
  w.panelBytes,
  w.list,
  w.channels,
  w.rowBytes,
  w.k,
  w.taps,
  w.lastQuads,
  w.above,
  w.orders,
  w.orderBytes,
  w.shared,
  w.places,
  w.flip,
  w.bound,
];

/** Where lists end, when code has run with the block at an address. */
export const listEnd = (memory: ArrayBuffer, block: number): number =>
  new Int32Array(memory, block, listWord + 1)[listWord] as number;

export function emitPackQuads(m: ModuleBuilder, type: "int8" | "uint8", form: Form): number {
  const ordered = form === "ordered";
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, unit, last] = [0, 1, 2];
    const [source, out, panelBytes, list, channels, rowBytes] = argLocals(f, 0, 1, 2, listWord, 4, 5);
    const [k, taps, lastQuads] = argLocals(f, 6, 7, 8);
    const [tap, here, there, left, number] = f.someLocals(5, "i32");
    const rows = f.someLocals(8, "i32");
    const p = new Panel(f, type, form, { list, out, number });
    f.get(unit).get(panelBytes).op("i32.mul").get(out).op("i32.add").set(out);
    f.loop();
    f.get(channels).get(unit).i32(8).op("i32.mul", "i32.sub").set(left);
    // The last row again where rows are missing.
    rows.forEach((r, i) => {
      if (i === 0) f.get(source).set(r);
      else {
        f.get(rows[i - 1] as Local).get(rowBytes);
        f.i32(0).get(left).i32(i).op("i32.gt_s", "select", "i32.add").set(r);
      }
    });
    f.get(rows[7]).get(rowBytes).op("i32.add").set(source);
    p.begin(unit);
    f.get(taps).set(tap);
    f.repeat(tap, () => {
      f.get(k).set(here).loop();
      f.get(here).i32(16).get(here).i32(16).op("i32.lt_u", "select").set(there);
      p.load(rows, there);
      if (ordered) f.inc(number, 1);
      else f.get(tap).set(number);
      f.i32(4).get(lastQuads).get(here).i32(16).op("i32.gt_u", "select");
      p.quads(() => {
        // Orders begin anew with each sixteen, taps go on.
        if (!ordered) f.get(k).op("i32.add").get(here).op("i32.sub");
      });
      f.get(here).get(there).op("i32.sub").tee(here).brIf(0).end();
    });
    p.end();
    f.incBy(out, panelBytes);
    f.inc(unit, 1).get(unit).get(last).op("i32.lt_u").brIf(0).end();
    f.get(args)
      .get(list)
      .store(4 * listWord);
  });
}

interface PanelLocals {
  readonly list: Local;
  readonly out: Local;
  /** What entries name their sixteen or tap by. */
  readonly number: Local;
}

const words = (f: FunctionBuilder, n: number): FunctionBuilder => f.i32x4((n & 0xffff) | (n << 16));

/** 128 or less, and −128 or more. */
type Room = readonly [most: Local, least: Local];

/** Each vector of weights twice: four channels, and four more. */
class Panel {
  /** Weights of a quad as int16, the first and the second of each pair; zero points. */
  readonly #a: readonly Local[];
  readonly #b: readonly Local[];
  readonly #zero: readonly Local[];
  readonly #sums: readonly Local[];
  /** Sums of the weights whose sign has changed. */
  readonly #changed: readonly Local[];
  /** What positive and negative weights of a pair may still add up to, and what a quad leaves to the next one. */
  readonly #room: readonly Room[] = [];
  readonly #left: readonly Room[] = [];
  readonly #quad: Local;
  readonly #order: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly type: "int8" | "uint8",
    private readonly form: Form,
    private readonly l: PanelLocals,
  ) {
    const ordered = form === "ordered";
    const rooms = (): Room[] => [0, 1].map(() => f.someLocals(2, "v128"));
    if (form === "pairs") [this.#room, this.#left] = [rooms(), rooms()];
    const vectors = () => f.someLocals(2, "v128");
    [this.#a, this.#b, this.#zero, this.#sums] = [vectors(), vectors(), vectors(), vectors()];
    this.#changed = ordered ? vectors() : [];
    [this.#quad, this.#order] = f.someLocals(2, "i32");
  }

  begin(unit: Local): void {
    const { f, l } = this;
    f.get(l.out).i32(quadHeader).op("i32.add").set(this.#quad);
    f.get(l.out).get(l.list).get(l.out).op("i32.sub").store(32);
    this.#zero.forEach((z, h) => {
      f.get(l.out)
        .vload(16 * h)
        .tee(z)
        .i32(16)
        .op("i32x4.shl");
      f.get(z).i32x4(0xffff).op("v128.and", "v128.or").set(z);
    });
    for (const s of [...this.#sums, ...this.#changed]) f.i32x4(0).set(s);
    for (const room of this.#room) this.#all(room);
    if (this.form === "ordered") this.#begin(unit);
  }

  /** The first panel of those that share an order makes it of places. */
  #begin(unit: Local): void {
    const { f } = this;
    const [orders, bytes, shared, places, flip] = argLocals(f, 10, 11, 12, 13, flipWord);
    const [n, to] = f.someLocals(2, "i32");
    const v = f.local("v128");
    f.i32(0).set(this.l.number);
    f.get(unit).get(shared).op("i32.div_u").get(bytes).op("i32.mul").tee(n).get(orders).op("i32.add");
    f.tee(this.#order).set(to);
    f.get(unit).get(shared).op("i32.rem_u", "i32.eqz").if();
    f.get(n).i32(1).op("i32.shr_u").get(places).op("i32.add").set(places);
    f.get(bytes).i32(orderVectors).op("i32.div_u").set(n);
    f.repeat(n, () => {
      f.get(places).vload().set(v);
      f.get(to).get(v).i32x4(0x0f0f0f0f).op("v128.and").vstore();
      f.get(to).get(v).i32(7).op("i8x16.shr_s").get(flip).op("i8x16.splat", "v128.xor").vstore(16);
      f.inc(places, 16).inc(to, orderVectors);
    });
    f.end();
  }

  /** The next weights of all rows: `there`, which is 16 at most, then zero points. */
  load(rows: readonly Local[], there: Local): void {
    const { f, l } = this;
    const [mask, shuffle, changed, v] = f.someLocals(4, "v128");
    f.get(there).op("i8x16.splat").i32x4(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
    f.op("i8x16.gt_s").set(mask);
    if (this.form === "ordered") {
      f.get(this.#order).vload().set(shuffle);
      f.get(0);
      f.get(this.#order)
        .vload(16)
        .get(0)
        .mem("v128.load8_splat", 4 * flipWord)
        .op("v128.xor")
        .tee(changed);
      f.vstore(changedAt);
      f.inc(this.#order, orderVectors);
    }
    rows.forEach((r, i) => {
      f.get(0).get(r).vload();
      f.get(l.out)
        .mem("v128.load8_splat", 4 * i)
        .get(mask)
        .op("v128.bitselect");
      if (this.form === "ordered") {
        f.get(shuffle).op("i8x16.swizzle").set(v);
        f.get(v).get(changed).op("v128.xor").get(changed).op("i8x16.sub");
      }
      f.vstore(rowsAt + 16 * i).incBy(r, there);
    });
    f.free("v128", mask, shuffle, changed, v);
  }

  /** As many as the stack says. @param place adds where the sixteen is to a quad's place in it */
  quads(place: () => void): void {
    const { f, l } = this;
    const [n, at, to] = f.someLocals(3, "i32");
    f.set(n).get(0).set(at);
    f.repeat(n, () => {
      this.#widen(at);
      this.#sum(at);
      if (this.form === "pairs") this.#share(at);
      f.get(this.#quad).set(to).loop();
      this.#split(to);
      [...this.#a, ...this.#b].forEach((v, i) => {
        f.get(v);
        if (i) f.op("v128.or");
      });
      f.op("v128.any_true").if();
      f.get(l.list).get(l.number).store();
      f.get(l.list).get(at).get(0).op("i32.sub");
      place();
      f.store(4).get(l.list).i32(16).op("i32.add").set(to).inc(l.list, quadEntry).br(1);
      f.end().end();
      f.inc(this.#quad, 32).inc(at, 4);
    });
    f.free("i32", n, at, to);
  }

  #widen(at: Local): void {
    const { f } = this;
    const [a, b] = [this.#a, this.#b];
    for (const h of [0, 1] as const) {
      const [even, odd, zero] = [a[h], b[h], this.#zero[h]] as [Local, Local, Local];
      const row = (r: number) => rowsAt + 16 * (4 * h + r);
      f.get(at).get(at).get(at).get(at).mem("v128.load32_zero", row(0));
      for (let r = 1; r < 4; r++) f.memLane("v128.load32_lane", r, row(r));
      f.set(odd);
      if (this.type === "int8") f.get(odd).i32(8).op("i16x8.shl").i32(8).op("i16x8.shr_s");
      else f.get(odd).i32x4(0x00ff00ff).op("v128.and");
      f.get(zero).op("i16x8.sub").set(even);
      f.get(odd)
        .i32(8)
        .op(this.type === "int8" ? "i16x8.shr_s" : "i16x8.shr_u");
      f.get(zero).op("i16x8.sub").set(odd);
    }
  }

  #sum(at: Local): void {
    const { f } = this;
    this.#sums.forEach((s, h) => {
      f.get(this.#a[h] as Local).get(this.#b[h] as Local);
      f.op("i16x8.add", "i32x4.extadd_pairwise_i16x8_s").get(s).op("i32x4.add").set(s);
    });
    // Always the second of a pair.
    this.#changed.forEach((s, h) => {
      f.get(at).mem("v128.load32_splat", changedAt).i32(8).op("i16x8.shr_s");
      f.get(this.#b[h] as Local)
        .op("v128.and", "i32x4.extadd_pairwise_i16x8_s")
        .get(s)
        .op("i32x4.add")
        .set(s);
    });
  }

  /** The second quad of two has the room that the first one leaves. */
  #share(at: Local): void {
    const { f } = this;
    f.get(at)
      .get(0)
      .op("i32.sub")
      .get(0)
      .load(4 * boundWord)
      .op("i32.and")
      .if();
    this.#room.forEach((room, h) =>
      room.forEach((v, i) => f.get((this.#left[h] as Room)[i] as Local).set(v)),
    );
    f.end();
  }

  #all([most, least]: Room): void {
    words(this.f, 128).set(most);
    words(this.f, -128).set(least);
  }

  /** To a quad what fits: bytes, of one sign 128 in a pair at most. Leaves what does not. */
  #split(to: Local): void {
    const { f } = this;
    const [x, y] = f.someLocals(2, "v128");
    for (const h of [0, 1] as const) {
      const [a, b] = [this.#a[h], this.#b[h]] as [Local, Local];
      const room = this.#room[h];
      const most = () => (room ? f.get(room[0]) : words(f, 128));
      const least = () => (room ? f.get(room[1]) : words(f, -128));
      if (this.form === "whole") {
        this.#clamp(a, x);
        this.#clamp(b, y);
      } else {
        f.get(a);
        words(f, 127).op("i16x8.min_s");
        if (room) most().op("i16x8.min_s");
        least().op("i16x8.max_s").set(x);
        f.get(b);
        most().get(x).i32x4(0).op("i16x8.max_s", "i16x8.sub");
        words(f, 127).op("i16x8.min_s", "i16x8.min_s");
        least().get(x).i32x4(0).op("i16x8.min_s", "i16x8.sub", "i16x8.max_s").set(y);
      }
      f.get(to).get(x);
      words(f, 255).op("v128.and").get(y).i32(8).op("i16x8.shl", "v128.or");
      f.vstore(16 * h);
      f.get(a).get(x).op("i16x8.sub").set(a).get(b).get(y).op("i16x8.sub").set(b);
      if (room) this.#leave(to, room, this.#left[h] as Room, x, y);
    }
    f.free("v128", x, y);
  }

  #clamp(from: Local, to: Local): void {
    const { f } = this;
    words(f.get(from), 127).op("i16x8.min_s").get(0);
    f.mem("v128.load16_splat", 4 * boundWord)
      .op("i16x8.max_s")
      .set(to);
  }

  /** Entries of lists share nothing. */
  #leave(to: Local, room: Room, left: Room, x: Local, y: Local): void {
    const { f } = this;
    f.get(to).get(this.#quad).op("i32.eq").if();
    (["i16x8.max_s", "i16x8.min_s"] as const).forEach((op, i) => {
      f.get(room[i] as Local);
      for (const v of [x, y]) f.get(v).i32x4(0).op(op, "i16x8.sub");
      f.set(left[i] as Local);
    });
    f.end();
    this.#all(room);
  }

  /** What to add to sums, in place of zero points, and the list's end. */
  end(): void {
    const { f, l } = this;
    const [above] = argLocals(f, 9);
    const factor = (times: number, plus: number): FunctionBuilder =>
      f.get(above).i32(times).op("i32.mul").i32(plus).op("i32.add", "i32x4.splat", "i32x4.mul");
    this.#sums.forEach((s, h) => {
      f.get(l.out).get(s);
      factor(-1, 0);
      // x became 255 − x.
      if (this.form === "ordered") {
        f.get(this.#changed[h] as Local);
        factor(2, -255).op("i32x4.add");
      }
      f.vstore(16 * h);
    });
    f.get(l.list).i32x4(0).vstore().inc(l.list, 16);
  }
}
