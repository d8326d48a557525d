// The plain reference of every operator that is not element-wise (those follow from their Expr).
import type { Reference } from "./op.js";
import "./registry.js"; // whoever asks for references may ask for any operator
import { references as conv } from "./conv_reference.js";
import { references as reduce } from "./reduce_reference.js";
import { references as reshape } from "./reshape.js";
import { references as transpose } from "./transpose.js";
import { references as concat } from "./concat.js";
import { references as slice } from "./slice.js";
import { references as pad } from "./pad.js";
import { references as expand } from "./expand.js";
import { references as gather } from "./gather.js";
import { references as scatter } from "./scatter.js";
import { references as onehot } from "./onehot.js";
import { references as topk } from "./topk.js";
import { references as fill } from "./fill.js";
import { references as resize } from "./resize.js";
import { references as blocks } from "./blocks.js";
import { references as detection } from "./detection.js";
import { references as recurrent } from "./recurrent_reference.js";

export const references: ReadonlyMap<string, Reference> = new Map(
  Object.entries<Reference>({
    ...conv,
    ...reduce,
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
    ...recurrent,
  }),
);
