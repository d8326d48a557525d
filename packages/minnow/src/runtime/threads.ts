// Several threads for a model: a pool of helpers, one a JavaScript thread, shared by all of its models; a
// crew, one a model, with the shared memory; a trial, one a plan, that drops to one thread where more gain
// too little. Loaded on demand. Runs are synchronous, so the pool has one launch at a time. What happens
// within a launch is generated code: see targets/wasm/driver_threads.ts.
import { ModelError } from "../error.js";
import type { Crew, Cut, CutStep, Trial } from "../targets/wasm/crew.js";
import { shared, sharedBytes, sharedLimits, threadDriver } from "../targets/wasm/driver_threads.js";
import type { ThreadExports } from "../targets/wasm/driver_threads.js";
import { cutStep, leastGain, leastParallel, spinTime, trialRuns } from "../targets/wasm/kernels/shares.js";
import { isNode, startThread } from "./node.js";
import { type Channel, channelOf, type Transport } from "./protocol.js";
import { type FromThread, seat, type ToThread } from "./thread.js";

/** One helper thread. */
class Member {
  readonly control = new Int32Array(new SharedArrayBuffer(4 * seat.words));
  readonly #channel: Channel;
  #waiting: { ok(): void; fail(e: Error): void }[] = [];
  #sent = 0;
  #closed = false;
  dead: string | undefined;

  constructor(
    private readonly transport: Transport,
    thread: number,
  ) {
    this.#channel = channelOf(transport);
    this.#channel.listen(
      (data) => {
        const { minnow, error } = data as FromThread;
        if (minnow !== "seated") return;
        if (error !== undefined) return this.#fail(error);
        this.#waiting.shift()?.ok();
        if (this.#waiting.length === 0) this.#keep("unref");
      },
      (reason) => this.#fail(reason),
    );
    this.seated = this.#post({ minnow: "thread", control: this.control.buffer as SharedArrayBuffer, thread });
    this.seated.catch(() => {}); // who hires it is told
  }
  readonly seated: Promise<void>;

  #fail(reason: string): void {
    this.dead = reason;
    for (const w of this.#waiting.splice(0)) w.fail(new Error(reason));
    this.#keep("unref");
  }
  #post(message: ToThread): Promise<void> {
    return new Promise((ok, fail) => {
      if (this.dead !== undefined) return fail(new Error(this.dead));
      this.#waiting.push({ ok, fail });
      this.#keep("ref");
      this.#channel.post(message, []);
    });
  }
  /** Resolves when the helper has dealt with it. */
  async send(message: ToThread): Promise<void> {
    const dealt = this.#post(message);
    Atomics.store(this.control, seat.messages, ++this.#sent);
    this.wake();
    await dealt;
  }
  wake(): void {
    Atomics.add(this.control, seat.launch, 1);
    if (Atomics.load(this.control, seat.sleeping)) Atomics.notify(this.control, seat.launch);
  }
  /** It keeps a process alive only while an answer is outstanding. */
  #keep(how: "ref" | "unref"): void {
    if (!this.#closed) (this.transport as { ref?: () => void; unref?: () => void })[how]?.();
  }
  close(): Promise<void> {
    this.#keep("ref");
    this.#closed = true;
    return this.#channel.close();
  }
}

/** The helpers of this JavaScript thread: as many as its largest crew wants, gone with the last crew. */
const pool: { members: Promise<Member>[]; crews: number; next: number } = { members: [], crews: 0, next: 1 };

async function hire(helpers: number): Promise<Member[]> {
  const { members } = pool;
  // Each place is taken at once: calls overlap, and two helpers of one number would share their scratch.
  for (let k = members.length; k < helpers; k++)
    members.push(startHelper().then((transport) => new Member(transport, k + 1)));
  const hired = await Promise.all(members.slice(0, helpers));
  await Promise.all(hired.map((m) => m.seated));
  for (const { dead } of hired) if (dead !== undefined) throw new Error(dead);
  return hired;
}

async function dismiss(): Promise<void> {
  if (--pool.crews > 0) return;
  const gone = await Promise.allSettled(pool.members.splice(0));
  await Promise.all(gone.map((m) => m.status === "fulfilled" && m.value.close()));
}

/** A thread that understands ToThread. In a web worker: another of the same script, which does. */
async function startHelper(): Promise<Transport> {
  if (isNode() && typeof Worker === "undefined") return startThread("thread.js");
  const here = import.meta.url; // apart from `new URL`, or bundlers would copy the file
  const own = (globalThis as { location?: { href: string } }).location?.href;
  return isNode() || !own
    ? new Worker(new URL("../thread.js", here), { type: "module" })
    : new Worker(own, { type: isModule() ? "module" : "classic" });
}

/**
 * Whether this worker is a module: there importScripts throws a TypeError whatever it is given, elsewhere another error for
 * what is no URL. (Given nothing, it throws in Firefox's modules neither.)
 */
export function isModule(): boolean {
  try {
    (globalThis as { importScripts?: (url: string) => void }).importScripts?.("https://[");
    return false;
  } catch (e) {
    return e instanceof TypeError;
  }
}

/** A shared memory that may grow to `maxMemory`, or to what the engine reserves. */
function sharedMemory(maxMemory: number): WebAssembly.Memory {
  const most = Math.min(65536, Math.ceil(maxMemory / 65536) + 1);
  for (let maximum = most; ; maximum = Math.ceil(maximum / 2))
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch (cause) {
      if (maximum < 2048) throw cause;
    }
}

let driver: WebAssembly.Module | undefined;

/** @throws what keeps it from having threads */
export async function openCrew(threads: number, maxMemory: number): Promise<Crew> {
  const memory = sharedMemory(maxMemory);
  pool.crews++;
  try {
    return new ThreadCrew(memory, await hire(threads - 1));
  } catch (e) {
    await dismiss();
    throw e;
  }
}

class ThreadCrew implements Crew {
  readonly limits = sharedLimits;
  readonly size: number;
  readonly reserved: number;
  private readonly model = pool.next++;
  #exports: ThreadExports | undefined;
  #modules = 0;
  #broken = false;
  #last: ThreadTrial | undefined;

  #memory: WebAssembly.Memory | null;

  constructor(
    memory: WebAssembly.Memory,
    private readonly members: readonly Member[],
  ) {
    this.#memory = memory;
    this.size = members.length + 1;
    this.reserved = sharedBytes(this.size);
  }

  get memory(): WebAssembly.Memory {
    if (!this.#memory) throw new ModelError("disposed", "the model was disposed");
    return this.#memory;
  }

  #word(at: number): Int32Array {
    return new Int32Array(this.memory.buffer, at, 1);
  }

  async add(module: WebAssembly.Module, imports: WebAssembly.Imports, first: number): Promise<void> {
    driver ??= new WebAssembly.Module(threadDriver());
    const { model, memory } = this;
    const messages: ToThread[] = [];
    if (!this.#exports) {
      const { exports } = new WebAssembly.Instance(driver, imports);
      this.#exports = exports as unknown as ThreadExports;
      this.#word(shared.threads)[0] = this.size;
      this.#word(shared.spins)[0] = spinsOf(this.#exports);
      messages.push({ minnow: "module", model, memory, module: driver, first: 0 });
    }
    messages.push({ minnow: "module", model, memory, module, first });
    const sent = this.members.flatMap((m) => messages.map((x) => m.send(x)));
    this.#word(shared.modules)[0] = ++this.#modules;
    await Promise.all(sent);
  }

  readonly alone = (first: number, last: number): number => (this.#exports as ThreadExports).run(first, last);

  readonly together = (first: number, last: number): number => {
    if (this.#broken) return this.alone(first, last);
    const e = this.#exports as ThreadExports;
    Atomics.store(this.#word(shared.open), 0, 1);
    for (const { control } of this.members) Atomics.store(control, seat.model, this.model);
    for (const m of this.members) m.wake();
    let at = -1;
    try {
      at = e.launch(first, last);
    } finally {
      if (at < 0) {
        this.#broken = true;
        e.finish(-1);
      }
    }
    if (at < 0)
      throw new ModelError("internal", "a thread was lost within a run", {
        hint: "the model goes on with one thread",
      });
    return at;
  };

  scratch(at: number, stride: number): void {
    this.#word(shared.scratch)[0] = at;
    this.#word(shared.stride)[0] = stride;
  }

  cut(step: CutStep): Cut {
    return cutStep(step, this.size);
  }

  trial(parallelWork: number): Trial {
    return new ThreadTrial(this.size, parallelWork, (t) => {
      this.#last = t;
    });
  }

  state(): { used: number; reason: string } {
    if (this.#broken) return { used: 1, reason: "a thread was lost" };
    const reason = this.#last?.reason ?? "";
    return { used: reason ? 1 : this.size, reason };
  }

  async dispose(): Promise<void> {
    const { model } = this;
    this.#memory = null;
    this.#exports = undefined;
    for (const m of this.members)
      if (m.dead === undefined) void m.send({ minnow: "drop", model }).catch(() => {});
    await dismiss();
  }
}

/** How many looks make `spinTime`: once optimised, so the shortest of some trials counts. */
function spinsOf(e: ThreadExports): number {
  const n = 2000;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 12; i++) {
    const start = performance.now();
    for (let k = 0; k < 8; k++) e.spin(0, n);
    best = Math.min(best, performance.now() - start);
  }
  return Math.max(200, Math.min(100_000, Math.round((8 * n * spinTime) / Math.max(best, 1e-3))));
}

/** Now and then, runs with and without threads in turns: the shortest of each are compared. */
export class ThreadTrial implements Trial {
  threaded = true;
  reason = "";
  /** Runs, and ms of runs, before the next trial; its runs so far. */
  #left: number = trialRuns.warm;
  #time: number = trialRuns.warmTime;
  #runs = 0;
  #again: number = trialRuns.again;
  readonly #best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];

  constructor(
    private readonly size: number,
    parallelWork: number,
    private readonly current: (t: ThreadTrial) => void,
  ) {
    if (parallelWork >= leastParallel) return;
    this.reason = "its steps are too small for threads";
    this.threaded = false;
    this.#left = Number.POSITIVE_INFINITY;
  }

  get #waits(): boolean {
    return this.#left > 0 || this.#time > 0;
  }

  begin(): void {
    this.current(this);
    if (!this.#waits) this.threaded = this.#runs % 2 === 0;
  }

  /** @returns why there are no threads, when that is new */
  end(ms: number): string | undefined {
    if (this.#waits) {
      this.#left--;
      this.#time -= ms;
      return undefined;
    }
    const i = this.#runs % 2;
    this.#best[i] = Math.min(this.#best[i] as number, ms);
    if (++this.#runs < 2 * trialRuns.pairs) return undefined;
    const gain = this.#best[1] / Math.max(this.#best[0], 1e-3);
    this.#runs = 0;
    this.#best.fill(Number.POSITIVE_INFINITY);
    this.threaded = gain >= leastGain;
    this.#left = this.threaded ? trialRuns.most : this.#again;
    if (this.threaded) {
      this.reason = "";
      return undefined;
    }
    this.#again = Math.min(2 * this.#again, trialRuns.most);
    const told = this.reason !== "";
    this.reason = `${this.size} threads gain ${gain.toFixed(2)} × over one`;
    return told ? undefined : this.reason;
  }
}
