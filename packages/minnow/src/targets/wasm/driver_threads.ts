// The driver for several threads on one shared memory. The thread that was called opens a step: it writes
// one ticket a thread (which chunk of its share is next) and publishes the step under a new sequence number.
// Everybody takes chunks, of their own share first, then of the others'. Whoever finds that all chunks are
// done runs the small steps that follow alone and opens the next one. So a step waits for work that was
// taken, never for a thread: one that the system has put aside, or that comes late, holds up nobody.
//
// A ticket carries the sequence number in its high half and is taken by compare-and-swap: a thread that
// slept through a step, or a run, finds another number there and takes nothing.
import type { FunctionBuilder, Local } from "./assembler.js";
import { ModuleBuilder } from "./assembler.js";
import type { MemoryLimits } from "./imports.js";
import { argsWord, chunksWord, errorAddress, extentWord, grainWord, markAt, stepBytes } from "./driver.js";
import { emitDriver } from "./driver_code.js";

/** Shared words; what is written at different times by different threads has cache lines of its own. */
export const shared = {
  sequence: 64,
  /** Address of the open step; 0: no run, 1: a run with none open. */
  open: 68,
  /** Threads that wait for another sequence number. */
  sleepers: 72,
  threads: 76,
  /** Scratch of thread 0, and bytes of each. */
  scratch: 80,
  stride: 84,
  last: 88,
  result: 92,
  /** Modules that a thread must have to take part. */
  modules: 96,
  /** Looks at the sequence number before a thread sleeps. */
  spins: 100,
  done: 128,
  tickets: 192,
} as const;
const ticketBytes = 64;
/** The least that all of it takes, from address 0. */
export const sharedBytes = (threads: number): number => shared.tickets + ticketBytes * threads;

/** Modules declare this much: an import may have less. */
export const sharedLimits: MemoryLimits = { shared: true, maximum: 65536 };

/** A thread that waits longer has lost another one, with its chunk. */
const patience = 60n * 1_000_000_000n;

const atomics = {
  notify: [0x00, 2],
  wait32: [0x01, 2],
  load: [0x10, 2],
  load64: [0x11, 3],
  store: [0x17, 2],
  store64: [0x18, 3],
  add: [0x1e, 2],
  swap64: [0x49, 3],
} as const;

/** An atomic instruction; the address (and values) are on the stack. */
function atomic(f: FunctionBuilder, name: keyof typeof atomics, offset: number): FunctionBuilder {
  const [code, align] = atomics[name];
  f.code.byte(0xfe).u32(code).byte(align).u32(offset);
  return f;
}

export interface ThreadExports {
  /** The steps by this thread alone. */
  run(first: number, last: number): number;
  /** The steps by all; −1: a thread was lost. `open` must be 1, for those that come before it begins. */
  launch(first: number, last: number): number;
  /** A helper's part, until the run ends: its number from 1, and the modules that it has. */
  help(thread: number, modules: number): void;
  /** Ends a run with a result. */
  finish(result: number): void;
  /** Looks n times whether the sequence number is still s; 1: it is. */
  spin(s: number, n: number): number;
}

/** The module; its imports are a shared memory, the thread's scratch and its table. */
export function threadDriver(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  const run = emitDriver(m);
  const finish = emitFinish(m);
  const advance = emitAdvance(m, run, finish);
  const take = emitTake(m, advance, finish);
  const wait = emitWait(m);
  emitLaunch(m, advance, take, wait);
  emitHelp(m, take, wait);
  return m.build(sharedLimits, true);
}

/** Gives the sequence the next number, and wakes those that wait for it. */
function publish(f: FunctionBuilder): void {
  f.i32(0);
  atomic(f.i32(0), "load", shared.sequence).i32(1).op("i32.add");
  atomic(f, "store", shared.sequence);
  atomic(f.i32(0), "load", shared.sleepers).if();
  atomic(f.i32(0).i32(-1), "notify", shared.sequence).op("drop").end();
}

function emitFinish(m: ModuleBuilder): number {
  return m.func(
    ["i32"],
    [],
    (f) => {
      f.i32(0).get(0).store(shared.result);
      atomic(f.i32(0).i32(0), "store", shared.open);
      publish(f);
    },
    "finish",
  );
}

/** (step): runs it and those behind it that are for one thread, and opens the first that is for all. */
function emitAdvance(m: ModuleBuilder, run: number, finish: number): number {
  return m.func(["i32"], [], (f) => {
    const [at, k, ticket, sequence] = [0, f.local(), f.local(), f.local("i64")];
    f.block().loop();
    f.get(at).i32(0).load(shared.last).op("i32.ge_u").brIf(1);
    f.get(at).load(chunksWord).if();
    atomic(f.i32(0).i32(0), "store", shared.done);
    atomic(f.i32(0), "load", shared.sequence).i32(1).op("i32.add", "i64.extend_i32_u");
    f.i64(32).op("i64.shl").set(sequence);
    f.i32(0).set(k).i32(0).set(ticket).loop();
    f.get(ticket).get(sequence);
    bound(f, at, k);
    f.op("i64.extend_i32_u", "i64.or");
    atomic(f, "store64", shared.tickets);
    f.inc(ticket, ticketBytes).inc(k, 1).get(k).i32(0).load(shared.threads).op("i32.lt_u").brIf(0).end();
    atomic(f.i32(0).get(at), "store", shared.open);
    publish(f);
    f.return().end();
    f.get(at).get(at).i32(stepBytes).op("i32.add").call(run).get(at).op("i32.eq").brIf(1);
    f.inc(at, stepBytes).br(0).end().end();
    f.get(at).call(finish);
  });
}

/** Pushes the first chunk of share k of the step at `at`. */
function bound(f: FunctionBuilder, at: Local, k: Local): void {
  f.get(k).get(at).load(chunksWord).op("i32.mul").i32(0).load(shared.threads).op("i32.div_u");
}

/** (thread, sequence, step): takes chunks until there are none; goes on to the next step if it did the last. */
function emitTake(m: ModuleBuilder, advance: number, finish: number): number {
  const kernel = m.type(["i32", "i32", "i32"], []);
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [thread, sequence, at] = [0, 1, 2];
    const [left, share, next, end, mine, begin, stop] = f.someLocals(7, "i32");
    const ticket = f.local("i64");
    f.i32(0).load(shared.scratch).get(thread).i32(0).load(shared.stride).op("i32.mul", "i32.add");
    f.setScratch().scratch().i32(0).store(markAt);
    f.get(thread).set(share).i32(0).load(shared.threads).set(left);
    f.repeat(left, () => {
      f.get(share).i32(1).op("i32.add").set(next); // the share behind, and the end of this one
      bound(f, at, next);
      f.set(end);
      f.block().loop();
      atomic(f.get(share).i32(ticketBytes).op("i32.mul"), "load64", shared.tickets).tee(ticket);
      f.i64(32).op("i64.shr_u", "i32.wrap_i64").get(sequence).op("i32.ne").brIf(1);
      f.get(ticket).op("i32.wrap_i64").tee(begin).get(end).op("i32.ge_u").brIf(1);
      f.get(share).i32(ticketBytes).op("i32.mul").get(ticket).get(ticket).i64(1).op("i64.add");
      atomic(f, "swap64", shared.tickets).get(ticket).op("i64.ne").brIf(0);
      f.inc(mine, 1);
      f.get(begin).get(at).load(grainWord).op("i32.mul").set(begin);
      f.get(at).load(argsWord).get(begin);
      f.get(begin).get(at).load(grainWord).op("i32.add").tee(stop).get(at).load(extentWord);
      f.get(stop).get(at).load(extentWord).op("i32.lt_u", "select");
      f.get(at).load().callIndirect(kernel).br(0).end().end();
      f.i32(0).get(next).get(next).i32(0).load(shared.threads).op("i32.ge_u", "select").set(share);
    });
    f.get(mine).op("i32.eqz").if().return().end();
    f.i32(0).get(mine);
    atomic(f, "add", shared.done).get(mine).op("i32.add").get(at).load(chunksWord).op("i32.ne");
    f.if().return().end();
    f.i32(0).load(errorAddress).if().get(at).call(finish).return().end();
    f.get(at).i32(stepBytes).op("i32.add").call(advance);
  });
}

/** (sequence) → 1 when it stayed the same for too long. Spins for some microseconds, then sleeps. */
function emitWait(m: ModuleBuilder): number {
  const spin = m.func(
    ["i32", "i32"],
    ["i32"],
    (f) => {
      f.loop();
      atomic(f.i32(0), "load", shared.sequence).get(0).op("i32.ne").if().i32(0).return().end();
      f.get(1).i32(1).op("i32.sub").tee(1).brIf(0).end().i32(1);
    },
    "spin",
  );
  return m.func(["i32"], ["i32"], (f) => {
    const slept = f.local();
    f.get(0).i32(0).load(shared.spins).call(spin).op("i32.eqz").if().i32(0).return().end();
    atomic(f.i32(0).i32(1), "add", shared.sleepers).op("drop");
    atomic(f.i32(0).get(0).i64(patience), "wait32", shared.sequence).set(slept);
    atomic(f.i32(0).i32(-1), "add", shared.sleepers).op("drop");
    f.get(slept).i32(2).op("i32.eq");
  });
}

function emitLaunch(m: ModuleBuilder, advance: number, take: number, wait: number): void {
  m.func(
    ["i32", "i32"],
    ["i32"],
    (f) => {
      const [sequence, step] = [f.local(), f.local()];
      f.i32(0).get(1).store(shared.last).get(0).call(advance).loop();
      atomic(f.i32(0), "load", shared.sequence).set(sequence);
      atomic(f.i32(0), "load", shared.open).tee(step).op("i32.eqz").if();
      f.i32(0).load(shared.result).return().end();
      f.i32(0).get(sequence).get(step).call(take);
      f.get(sequence).call(wait).op("i32.eqz").brIf(0).end().i32(-1);
    },
    "launch",
  );
}

function emitHelp(m: ModuleBuilder, take: number, wait: number): void {
  m.func(
    ["i32", "i32"],
    [],
    (f) => {
      const [sequence, step] = [f.local(), f.local()];
      f.loop();
      atomic(f.i32(0), "load", shared.sequence).set(sequence);
      atomic(f.i32(0), "load", shared.open).tee(step).op("i32.eqz").if().return().end();
      f.i32(0).load(shared.modules).get(1).op("i32.ne").if().return().end();
      f.get(step).i32(1).op("i32.ne").if();
      f.get(0).get(sequence).get(step).call(take).end();
      f.get(sequence).call(wait).op("drop").br(0).end();
    },
    "help",
  );
}
