// Operators that many models do without: an app that runs .minnow files loads them when a model needs one.
import type { OpDef } from "./op.js";
import { ops as unary } from "./unary.js";
import { ops as binary } from "./binary_rare.js";
import { ops as smooth } from "./smooth.js";
import { ops as logSum } from "./log_sum.js";
import { ops as matmul } from "./matmul.js";
import { ops as compare } from "./compare.js";
import { ops as where } from "./where.js";
import { ops as convTranspose } from "./conv_transpose.js";
import { ops as norm } from "./norm.js";
import { ops as cumsum } from "./cumsum.js";
import { ops as expand } from "./expand.js";
import { ops as gather } from "./gather.js";
import { ops as scatter } from "./scatter.js";
import { ops as slice } from "./slice.js";
import { ops as onehot } from "./onehot.js";
import { ops as topk } from "./topk.js";
import { ops as fill } from "./fill.js";
import { ops as resize } from "./resize.js";
import { ops as blocks } from "./blocks.js";
import { ops as detection } from "./detection.js";
import { ops as recurrent } from "./recurrent.js";

export const rare: readonly OpDef[] = [
  ...unary,
  ...binary,
  ...smooth,
  ...logSum,
  ...matmul,
  ...compare,
  ...where,
  ...convTranspose,
  ...norm,
  ...cumsum,
  ...expand,
  ...gather,
  ...scatter,
  ...slice,
  ...onehot,
  ...topk,
  ...fill,
  ...resize,
  ...blocks,
  ...detection,
  ...recurrent,
];
