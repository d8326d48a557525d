// From TFLite's operators to ours: one row an operator, in four files by family, and the custom
// operators here. A row that is missing makes the operator "unsupported", with its name.
import { readFlexMap } from "./flexbuffer.js";
import type { Op, Row } from "./op.js";
import { elementwise } from "./operators-elementwise.js";
import { networks, transposeConvBias } from "./operators-nn.js";
import { layers } from "./operators-recurrent.js";
import { movement } from "./operators-shape.js";

/** Built-in operators by the schema's name. */
export const builtins: ReadonlyMap<string, Row> = new Map(
  Object.entries({ ...elementwise, ...networks, ...layers, ...movement }),
);

/** Custom operators by their own name. */
export const customs: ReadonlyMap<string, Row> = new Map([
  ["TFLite_Detection_PostProcess", detectionPostProcess],
  ["Convolution2DTransposeBias", transposeConvBias],
]);

/** Inputs: box encodings, class scores, anchors. Quantised ones are dequantised first, as TFLite does. */
function detectionPostProcess(c: Op): void {
  const options = readFlexMap(c.custom);
  const need = (key: string): number => options.get(key) ?? c.fail(`option ${key} is missing`);
  c.emit(
    "DetectionPostProcess",
    [0, 1, 2].map((i) => c.asFloat(c.input(i))),
    [...c.outputs],
    {
      maxDetections: need("max_detections"),
      maxClassesPerDetection: need("max_classes_per_detection"),
      detectionsPerClass: options.get("detections_per_class") ?? 100,
      useRegularNms: Boolean(options.get("use_regular_nms") ?? 0),
      nmsScoreThreshold: need("nms_score_threshold"),
      nmsIouThreshold: need("nms_iou_threshold"),
      numClasses: need("num_classes"),
      yScale: need("y_scale"),
      xScale: need("x_scale"),
      hScale: need("h_scale"),
      wScale: need("w_scale"),
    },
  );
}

/** What to do about operators that cannot run. */
export function hintFor(name: string): string | undefined {
  if (/^(LSTM|RNN|SVDF)$/.test(name)) return "cells that keep state from run to run are not supported";
  if (/^(WHILE|CALL|CALL_ONCE)$/.test(name))
    return "loops and calls are not supported; convert one straight-line function";
  if (/VARIABLE|VAR_HANDLE|HASHTABLE/.test(name)) return "models that keep state or tables are not supported";
  if (name.startsWith("Flex")) return "a TensorFlow operator; convert with TFLite built-in operators only";
  if (/^STABLEHLO_/.test(name)) return "convert to TFLite built-in operators";
  return undefined;
}
