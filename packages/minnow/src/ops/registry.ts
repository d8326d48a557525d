// Every operator by name: what shape inference and the compiler need. References are in references.ts.
// A file of operators exports `ops` (definitions) and, but for element-wise ones, `references`.
import type { OpDef } from "./op.js";
import { ops as activation } from "./activation.js";
import { ops as unary } from "./unary.js";
import { ops as binary } from "./binary.js";
import { ops as compare } from "./compare.js";
import { ops as cast } from "./cast.js";
import { ops as where } from "./where.js";
import { ops as conv } from "./conv.js";
import { ops as convTranspose } from "./conv_transpose.js";
import { ops as matmul } from "./matmul.js";
import { ops as pool } from "./pool.js";
import { ops as norm } from "./norm.js";
import { ops as reduce } from "./reduce.js";
import { ops as softmax } from "./softmax.js";
import { ops as cumsum } from "./cumsum.js";
import { ops as reshape } from "./reshape.js";
import { ops as transpose } from "./transpose.js";
import { ops as concat } from "./concat.js";
import { ops as slice } from "./slice.js";
import { ops as pad } from "./pad.js";
import { ops as expand } from "./expand.js";
import { ops as gather } from "./gather.js";
import { ops as scatter } from "./scatter.js";
import { ops as onehot } from "./onehot.js";
import { ops as topk } from "./topk.js";
import { ops as fill } from "./fill.js";
import { ops as resize } from "./resize.js";
import { ops as blocks } from "./blocks.js";
import { ops as detection } from "./detection.js";

export const registry: ReadonlyMap<string, OpDef> = new Map(
  [
    ...activation,
    ...unary,
    ...binary,
    ...compare,
    ...cast,
    ...where,
    ...conv,
    ...convTranspose,
    ...matmul,
    ...pool,
    ...norm,
    ...reduce,
    ...softmax,
    ...cumsum,
    ...reshape,
    ...transpose,
    ...concat,
    ...slice,
    ...pad,
    ...expand,
    ...gather,
    ...scatter,
    ...onehot,
    ...topk,
    ...fill,
    ...resize,
    ...blocks,
    ...detection,
  ].map((def: OpDef) => [def.name, def]),
);
