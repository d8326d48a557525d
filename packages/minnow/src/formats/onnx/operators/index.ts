// ONNX operator → how it is read. One row an operator, in files by family.
import type { Table } from "../call.js";
import { blocks } from "./blocks.js";
import { contrib } from "./contrib.js";
import { control } from "./control.js";
import { convolution } from "./convolution.js";
import { elementwise } from "./elementwise.js";
import { integer } from "./integer.js";
import { linear } from "./linear.js";
import { movement } from "./movement.js";
import { normalization } from "./normalization.js";
import { quantization } from "./quantization.js";
import { recurrent } from "./recurrent.js";
import { reduction } from "./reduction.js";
import { resize } from "./resize.js";
import { shape } from "./shape.js";

const standard: Table = {
  ...elementwise,
  ...reduction,
  ...linear,
  ...convolution,
  ...normalization,
  ...shape,
  ...movement,
  ...resize,
  ...quantization,
  ...integer,
  ...recurrent,
  ...control,
};

/** Operator set domain → its operators. */
export const tables: Readonly<Record<string, Table>> = {
  "": standard,
  "ai.onnx": standard,
  "com.microsoft": { ...contrib, ...blocks },
};
