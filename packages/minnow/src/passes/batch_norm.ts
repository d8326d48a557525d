// Writes batch normalisation with fixed statistics as one multiplication and one addition, which the
// affine pass then folds into a neighbour:
//
//   scale · (x − mean) / √(var + ε) + b  =  x · s + (b − mean · s),   s = scale / √(var + ε)
import type { Tensor } from "../graph/index.js";
import { floatsOf } from "./constants.js";
import type { Pass } from "./pass.js";

export const batchNorm: Pass = {
  name: "batch_norm",
  ops: ["BatchNorm"],
  inferenceOnly: true,
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) {
      const [x, y] = [n.inputs[0], n.outputs[0]];
      if (n.op !== "BatchNorm" || !x || !y || x.quant || x.dtype !== "float32" || n.outputs.length !== 1)
        continue;
      const [scale, b, mean, variance] = n.inputs.slice(1).map((t) => floatsOf(e, t));
      if (!scale || !b || !mean || !variance) continue;
      const epsilon = (n.attrs.epsilon as number | undefined) ?? 1e-5;
      const factor = new Float64Array(scale).map((v, i) => v / Math.sqrt((variance[i] as number) + epsilon));
      const shift = new Float32Array(
        new Float64Array(b).map((v, i) => v - (mean[i] as number) * (factor[i] as number)),
      );
      if (!factor.every(Number.isFinite)) continue;
      const axis = (n.attrs.axis as number | undefined) ?? 1;
      const shape = x.shape.map((_, i) =>
        i === (axis < 0 ? axis + x.shape.length : axis) ? scale.length : 1,
      );
      const c = (name: string, data: Float32Array): Tensor =>
        e.constant(`${n.name}/${name}`, "float32", shape, data);
      const scaled = e.insertBefore(
        n,
        { op: "Mul", inputs: [x, c("scale", new Float32Array(factor))], name: `${n.name}/scale` },
        { name: `${y.name}/scaled`, dtype: y.dtype, shape: y.shape },
      );
      n.op = "Add";
      n.attrs = {};
      e.setInputs(n, [scaled, c("shift", shift)]);
      rewrites++;
    }
    return rewrites;
  },
};
