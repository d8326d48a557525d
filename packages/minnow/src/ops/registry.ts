// Every operator by name: what shape inference and the compiler need. References are in references.ts.
// A file of operators exports `ops` (definitions) and, but for element-wise ones, `references`.
import type { OpDef } from "./op.js";
import { ops as activation } from "./activation.js";

export const registry: ReadonlyMap<string, OpDef> = new Map(
  [
    ...activation,
  ].map((def: OpDef) => [def.name, def]),
);
