// The policy of threads: how steps are cut for them, when they are not worth it. Like tiles.ts, but loaded only
// by models with threads; nothing here changes results.
import type { Cut, CutStep } from "../crew.js";

/** Work, in µs, that a thread alone does sooner than two with a barrier: 0.2 µs of spinning, 5–20 of waking. */
const leastWork = 15;

/** A chunk: long beside the 0.1 µs of taking it, short beside a step. */
const chunkWork = 12;

/** Where a kernel's grain is longer: chunks a thread, so that the last one is waited for a few % of the step. */
const chunksEach = 16;

/** Bytes of weights that a µs of a chunk may cost: at 20 GB/s, a third of its time. */
const weightsRate = 20_000 / 3;

/** µs, at what one thread of a recent machine does without 256-bit vectors: 25 GMAC/s, 8 GB/s. */
const microseconds = ({ macs, bytes }: CutStep): number => Math.max(macs / 25_000, bytes / 8_000);

/** How a step is cut for threads. */
export function cutStep(step: CutStep, threads: number): Cut {
  const work = microseconds(step);
  const { extent } = step;
  const small = Math.min(step.unit, step.grain);
  const fine = (extent * Math.max(chunkWork, step.weights / weightsRate)) / work;
  const most = Math.max(fine, Math.min(step.grain, extent / (threads * chunksEach)));
  const units = Math.ceil(extent / small);
  const each = evenChunk(units, Math.max(1, most / small), threads);
  const chunks = Math.ceil(units / each);
  return work < leastWork || chunks < 2
    ? { chunks: 0, grain: step.grain, work: 0 }
    : { chunks, grain: each * small, work };
}

/** Units of a chunk, near `wanted`, with which the largest share is smallest (17 chunks for 2 threads: 9 and 8). */
function evenChunk(units: number, wanted: number, threads: number): number {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let each = Math.ceil(wanted / 2); each <= wanted; each++) {
    const chunks = Math.ceil(units / each);
    const before = (k: number): number => Math.min(units, Math.floor((k * chunks) / threads) * each);
    let largest = 0;
    for (let k = 0; k < threads; k++) largest = Math.max(largest, before(k + 1) - before(k));
    if (largest < least) [best, least] = [each, largest];
  }
  return best;
}

/** Waking a thread takes 33–50 µs: µs of work that must be there to be shared. */
export const leastParallel = 100;

/** What threads must gain to be kept. */
export const leastGain = 1.1;

/**
 * Runs, and ms of them, before threads are tried: V8 compiles meanwhile, on the second core. Pairs of runs, with
 * threads and without, in a trial. A trial may meet a busy moment: threads that lost it are tried again, after
 * `again` runs and then twice as many each time, threads that won it after `most`.
 */
export const trialRuns = { warm: 3, warmTime: 60, pairs: 3, again: 16, most: 1024 } as const;

/**
 * ms that a thread spins before it sleeps. Who is woken comes 33–50 µs late, and a step's last chunk can take longer
 * than 0.02. 0.1 in its place, Chromium, three runs each in turns, medians of two threads: SqueezeNet 20.0–21.3 →
 * 17.9–20.2 ms (1.64–1.71 → 1.75–1.84 × one thread), MobileNet v2 12.5–13.4 → 11.4–12.5. With both cores busy two
 * threads' median stays within 2 % of one's.
 */
export const spinTime = 0.1;
