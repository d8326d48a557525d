// The plain reference of every operator that is not element-wise (those follow from their Expr).
import type { Reference } from "./op.js";

export const references: ReadonlyMap<string, Reference> = new Map(
  Object.entries({} as Record<string, Reference>),
);
