// A helper thread's side of threads.ts: holds an instance of every module of the models that use it, sleeps
// until a run is launched, and helps. While it sleeps no message can reach it: so messages are counted in
// shared memory, and a helper that finds one outstanding goes back to its event loop first.
import { moduleImports } from "../targets/wasm/imports.js";
import type { ThreadExports } from "../targets/wasm/driver_threads.js";

/** Words of the control block that a pool shares with one helper. */
export const seat = { launch: 0, messages: 1, model: 2, sleeping: 3, words: 16 } as const;

export type ToThread =
  | { readonly minnow: "thread"; readonly control: SharedArrayBuffer; readonly thread: number }
  | {
      readonly minnow: "module";
      readonly model: number;
      readonly memory: WebAssembly.Memory;
      /** The driver when it is the model's first; else its kernels k0… have places from `first` on. */
      readonly module: WebAssembly.Module;
      readonly first: number;
    }
  | { readonly minnow: "drop"; readonly model: number };

/** Answered to each message; `error`: the helper is of no use. */
export type FromThread = { readonly minnow: "seated"; readonly error?: string };

/** Looks at the launch word before sleeping: some 20 µs, once optimised. */
const looks = 3000;

class Helped {
  readonly #imports;
  readonly #driver: ThreadExports;
  #modules = 0;

  constructor(
    readonly memory: WebAssembly.Memory,
    driver: WebAssembly.Module,
  ) {
    this.#imports = moduleImports(memory);
    this.#driver = this.#instance(driver) as unknown as ThreadExports;
  }
  #instance(module: WebAssembly.Module): WebAssembly.Exports {
    return new WebAssembly.Instance(module, this.#imports).exports;
  }
  add(module: WebAssembly.Module, first: number): void {
    const exports = this.#instance(module);
    const { table } = this.#imports.env;
    const names = Object.keys(exports).filter((name) => /^k\d/.test(name));
    table.grow(Math.max(0, first + names.length - table.length));
    names.forEach((_, i) => {
      table.set(first + i, exports[`k${i}`]);
    });
    this.#modules++;
  }
  help(thread: number): void {
    try {
      this.#driver.help(thread, this.#modules);
    } catch {
      this.#driver.finish(-1); // a trap is a bug; the run must end all the same
    }
  }
}

/** Takes messages; answers through `post`. Returns to the event loop only when another has been sent. */
export function helper(post: (answer: FromThread) => void): (message: ToThread) => void {
  let control: Int32Array = new Int32Array(0);
  let thread = 0;
  let received = 0;
  let seen = 0;
  const models = new Map<number, Helped>();

  function handle(m: ToThread): void {
    if (m.minnow === "thread") {
      control = new Int32Array(m.control);
      thread = m.thread;
      return;
    }
    received++;
    if (m.minnow === "drop") models.delete(m.model);
    else {
      const model = models.get(m.model);
      if (model) model.add(m.module, m.first);
      else models.set(m.model, new Helped(m.memory, m.module));
    }
  }

  function serve(): void {
    for (;;) {
      const launch = Atomics.load(control, seat.launch);
      if (Atomics.load(control, seat.messages) !== received) return;
      if (launch !== seen) {
        seen = launch;
        models.get(Atomics.load(control, seat.model))?.help(thread);
        continue;
      }
      let n = looks;
      while (n-- > 0 && Atomics.load(control, seat.launch) === launch);
      if (n >= 0) continue;
      Atomics.store(control, seat.sleeping, 1);
      Atomics.wait(control, seat.launch, launch);
      Atomics.store(control, seat.sleeping, 0);
    }
  }

  return (message) => {
    try {
      handle(message);
      post({ minnow: "seated" });
    } catch (e) {
      post({ minnow: "seated", error: e instanceof Error ? e.message : String(e) });
    }
    serve();
  };
}
