// Calls on one model run one after the other, first come first served. A failed call does not stop
// the next; closing lets the running call end and refuses the waiting ones.
import { ModelError } from "../error.js";
import { throwIfAborted } from "./arriving.js";

/** A loop of awaited runs would starve timers, painting and aborts; with a signal we let them in. */
export const breathEvery = 8; // ms

export class Queue {
  /** Calls that have not ended. */
  #open = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;
  #breathed = 0;

  /**
   * Runs `work` when all earlier calls have ended. Where there are none it runs at once, and its result is no
   * promise unless its own is one: each wait costs a small model a part of its time.
   */
  add<T>(work: () => T | Promise<T>, signal?: AbortSignal): T | Promise<T> {
    if (this.#open || signal) return this.#wait(work, signal);
    this.#check();
    this.#open++;
    let result: T | Promise<T> | undefined;
    try {
      result = work();
    } finally {
      if (!(result instanceof Promise)) this.#open--;
    }
    if (!(result instanceof Promise)) return result;
    const ended = result.finally(() => this.#open--);
    this.#tail = ended.catch(() => {});
    return ended;
  }

  async #wait<T>(work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#check(signal);
    const before = this.#tail;
    let end = (): void => {};
    this.#tail = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#open++;
    try {
      await before;
      if (signal) await this.#breathe();
      this.#check(signal);
      return await work();
    } finally {
      this.#open--;
      end();
    }
  }

  /** Refuses new and waiting calls; resolves when the running one has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#tail;
  }

  #check(signal?: AbortSignal): void {
    if (this.#closed) throw new ModelError("disposed", "the model has been disposed");
    throwIfAborted(signal);
  }

  async #breathe(): Promise<void> {
    const now = performance.now();
    if (now - this.#breathed < breathEvery) return;
    await macrotask();
    this.#breathed = performance.now();
  }
}

/** `f` of what `x` is, or will be. */
export const after = <T, U>(x: T | Promise<T>, f: (x: T) => U | Promise<U>): U | Promise<U> =>
  x instanceof Promise ? x.then(f) : f(x);

/** Resolves after the event loop has had a turn. */
export function macrotask(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (f: () => void) => void };
  if (setImmediate) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
