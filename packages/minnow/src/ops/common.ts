// The operators that most models are made of, by name: what shape inference and the compiler need. A
// file of operators exports `ops` (definitions) and, but for element-wise ones, `references`.
import type { OpDef } from "./op.js";
import { ops as activation } from "./activation.js";
import { ops as binary } from "./binary.js";
import { ops as cast } from "./cast.js";
import { ops as conv } from "./conv.js";
import { ops as dense } from "./dense.js";
import { ops as pool } from "./pool.js";
import { ops as reduce } from "./reduce.js";
import { ops as softmax } from "./softmax.js";
import { ops as reshape } from "./reshape.js";
import { ops as transpose } from "./transpose.js";
import { ops as concat } from "./concat.js";
import { ops as pad } from "./pad.js";

/** Operators known so far. */
export const known = new Map<string, OpDef>();
export const learn = (ops: readonly OpDef[]): void => {
  for (const def of ops) known.set(def.name, def);
};
learn([
  ...activation,
  ...binary,
  ...cast,
  ...conv,
  ...dense,
  ...pool,
  ...reduce,
  ...softmax,
  ...reshape,
  ...transpose,
  ...concat,
  ...pad,
]);
