// What the driver and the kernels of a bound program read: its steps, their argument blocks, and the arrays that
// are its inputs and outputs. Written again when addresses have changed.
import type { Program, View } from "../../compiler/program.js";
import { byteSize, type TypedArray } from "../../graph/dtype.js";
import type { BoundProgram, Call, Ports } from "./bound.js";
import { argsWord, chunksWord, errorAddress, extentWord, grainWord, stepBytes } from "./driver.js";
import type { ArgWord } from "./kernel.js";
import type { ModelMemory } from "./memory.js";

export function writeSteps(memory: ModelMemory, bound: BoundProgram): void {
  if (bound.written === memory.version) return;
  const words = new Int32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  for (const c of bound.calls) {
    const step = bound.program.steps[c.step];
    let at = bound.stepsAt + c.step * stepBytes;
    words[at >> 2] = c.kernel;
    words[(at + argsWord) >> 2] = bound.stepsAt + c.args;
    words[(at + extentWord) >> 2] = c.extent;
    words[(at + grainWord) >> 2] = c.grain;
    words[(at + chunksWord) >> 2] = c.chunks;
    at = (bound.stepsAt + c.args) >> 2;
    for (const w of c.words) {
      if (w.kind === "f32") floats[at++] = w.value;
      else words[at++] = wordOf(memory, bound, c, w, step?.values ?? []);
    }
  }
  bound.written = memory.version;
}

function wordOf(
  memory: ModelMemory,
  bound: BoundProgram,
  c: Call,
  w: Exclude<ArgWord, { kind: "f32" }>,
  values: readonly View[],
): number {
  switch (w.kind) {
    case "i32":
      return w.value;
    case "view": {
      const v = values[w.value] as View;
      return memory.address(bound.program, v) + (w.element ?? 0) * byteSize(v.dtype, 1);
    }
    case "packed":
      return (memory.shared.get(c.packed[w.index] as string)?.at as number) + (w.at ?? 0);
    case "scratch":
      return w.at ?? 0;
    case "zero":
      return memory.regions.zeros.at;
    case "error":
      return errorAddress;
  }
}

/** Inputs and outputs in memory, and the error word. */
export function portArrays(memory: ModelMemory, bound: BoundProgram): Ports {
  if (bound.ports?.version === memory.version) return bound.ports;
  const arrays = (ports: Program["inputs"]): TypedArray[] =>
    ports.map((p) => memory.array(bound.program, p.view));
  bound.ports = {
    version: memory.version,
    inputs: arrays(bound.program.inputs),
    outputs: arrays(bound.program.outputs),
    error: new Int32Array(memory.buffer, errorAddress, 1),
  };
  return bound.ports;
}
