// The types that users see, in one place for both entry points.
export type { DType } from "../graph/dtype.js";
export type { Dim, Shape } from "../graph/dim.js";
export type { Metadata, Quantization } from "../graph/graph.js";
export type { ArenaPlan, MemoryUse, PlannedBuffer } from "./device.js";
export type { OperatorRow, Report } from "./report.js";
export type { Profile, ProfileRow } from "./profile.js";
export type {
  AnyTypedArray,
  InputValue,
  LoadOptions,
  Model,
  ModelEvent,
  ModelInputs,
  ModelOutputs,
  ModelSource,
  NestedArray,
  ProfileOptions,
  Progress,
  RunOptions,
  TensorData,
  TensorSpec,
  TensorValue,
} from "./types.js";
