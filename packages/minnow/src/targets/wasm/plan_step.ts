// Which kernel runs a step: the first tuned one that can, else the generic loop nest. Where weights have
// been given back, only kernels whose packed weights are there can.
import type { Step } from "../../compiler/program.js";
import { ModelError } from "../../error.js";
import { isReleased } from "../../graph/released.js";
import type { Engine } from "./engine.js";
import type { Packed, PlannedKernel, Planning, TunedKernel } from "./kernel.js";
import { planNest } from "./nest.js";

export function planStep(
  step: Step,
  engine: Engine,
  program: Planning,
  kernels: readonly TunedKernel[],
): PlannedKernel {
  const lost = (p: Packed): boolean => {
    const source = p.pack ? p.pack.source : p.source;
    return !!source && isReleased(source) && !program.has?.(p.key);
  };
  for (const k of kernels) {
    if (!k.kernels.includes(step.kernel)) continue;
    const planned = k.plan(step, engine, program);
    if (planned && !planned.packed.some(lost)) return planned;
  }
  if (!step.nest)
    throw new ModelError("unsupported", `kernel ${step.kernel} (${step.node}) has no WebAssembly form`, {
      op: step.op,
    });
  return planNest(step, engine);
}
