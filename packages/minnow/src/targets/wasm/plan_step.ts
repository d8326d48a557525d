// Which kernel runs a step: the first tuned one that can, else the generic loop nest.
import type { Step } from "../../compiler/program.js";
import { ModelError } from "../../error.js";
import type { Engine } from "./engine.js";
import type { PlannedKernel, Planning, TunedKernel } from "./kernel.js";
import { planNest } from "./nest.js";

export function planStep(
  step: Step,
  engine: Engine,
  program: Planning,
  kernels: readonly TunedKernel[],
): PlannedKernel {
  for (const k of kernels) {
    if (!k.kernels.includes(step.kernel)) continue;
    const planned = k.plan(step, engine, program);
    if (planned) return planned;
  }
  if (!step.nest)
    throw new ModelError("unsupported", `kernel ${step.kernel} (${step.node}) has no WebAssembly form`, {
      op: step.op,
    });
  return planNest(step, engine);
}
