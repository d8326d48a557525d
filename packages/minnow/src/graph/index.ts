export * from "./deferred.js";
export * from "./dtype.js";
export * as dim from "./dim.js";
export type { Dim, Shape } from "./dim.js";
export * from "./graph.js";
export { permuteData } from "./permute.js";
