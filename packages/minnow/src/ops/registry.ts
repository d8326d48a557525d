// Every operator by name. References are in references.ts.
import { known, learn } from "./common.js";
import type { OpDef } from "./op.js";
import { rare } from "./rare.js";

learn(rare);

export const registry: ReadonlyMap<string, OpDef> = known;
