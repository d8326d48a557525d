// What this thread may do with shared memory. Apart from threads.ts, which loads only where it is of use.

/** Whether this thread may wait and share memory: not on a page's main thread, not without isolation. */
export function canShare(): { memory: boolean; wait: boolean } {
  if (typeof SharedArrayBuffer === "undefined") return { memory: false, wait: false };
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return { memory: true, wait: true };
  } catch {
    return { memory: true, wait: false };
  }
}
