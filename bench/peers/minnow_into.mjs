// Minnow, filling the same arrays in every run.
import { load as open } from "./minnow.mjs";

export const load = (options) => open({ ...options, into: true });
