// The half of a model that plans and emits: which kernel runs each step, and one module of those that are not
// there yet. Loaded when something is planned here; what was made ahead of time needs none of it (precompiled.ts).
import type { Program } from "../../compiler/program.js";
import type { HostKernel } from "../host/index.js";
import { ModuleBuilder } from "./assembler.js";
import type { Engine } from "./engine.js";
import type { WasmModel } from "./instance.js";
import type { Pack, PlannedKernel, Prepared } from "./kernel.js";
import { kernelsFor } from "./kernels/index.js";
import { planStep } from "./plan_step.js";

/** @throws ModelError unsupported, out_of_memory */
export async function prepare(program: Program, engine: Engine, model: WasmModel): Promise<Prepared> {
  const planned = await planSteps(program, engine, (key) => model.hasPacked(key));
  model.checkMemory(program, planned);
  const missing = missingCode(planned, model);
  const m = new ModuleBuilder();
  emitAll(m, missing);
  return {
    program,
    planned,
    kernels: [...missing.keys()],
    ...(missing.size > 0 && { code: m.build(model.limits) }),
  };
}

/** null: runs in script. */
export async function planSteps(
  program: Program,
  engine: Engine,
  has: (key: string) => boolean,
): Promise<(PlannedKernel | null)[]> {
  const kernels = await kernelsFor(program);
  const served = new Set(kernels.flatMap((k) => k.kernels));
  // Few models sort or suppress: the others do without this part.
  const host: Readonly<Record<string, HostKernel>> = program.steps.every(
    (s) => s.nest || served.has(s.kernel),
  )
    ? {}
    : (await import("../host/index.js")).hostKernels;
  const planning = { ...program, has };
  return program.steps.map((s) =>
    s.nest || !host[s.kernel] ? planStep(s, engine, planning, kernels) : null,
  );
}

/** What emits, by key, of those that are not there: kernels, and what packs weights that are not. */
export function missingCode(
  planned: readonly (PlannedKernel | null)[],
  model: Pick<WasmModel, "hasKernel" | "hasPacked">,
): Map<string, Pick<Pack, "emit">> {
  const missing = new Map<string, Pick<Pack, "emit">>();
  for (const p of planned) {
    const packs = p?.packed.flatMap((x) => (x.pack && !model.hasPacked(x.key) ? [x.pack] : [])) ?? [];
    for (const x of p ? [p, ...packs] : packs) if (!model.hasKernel(x.key)) missing.set(x.key, x);
  }
  return missing;
}

/** As functions exported as k0, k1, … */
export function emitAll(m: ModuleBuilder, code: ReadonlyMap<string, Pick<Pack, "emit">>): void {
  [...code.values()].forEach((x, i) => m.exports.set(`k${i}`, x.emit(m)));
}
