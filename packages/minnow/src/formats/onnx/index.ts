// The ONNX format: what other rooms may use.
export { readOnnx } from "./reader.js";
