// Whether this version of Minnow may read a .minnow file, whatever it reads of it.
import { ModelError } from "../../error.js";
import type { Table } from "../flatbuffer.js";
import * as schema from "./schema.js";

/** @throws ModelError unsupported: the file says that it needs more than is known here */
export function checkVersion(model: Table): void {
  const needed = model.num(schema.model.minVersion, "u32", 1);
  const unknown = (model.strings(schema.model.needs) ?? []).filter((f) => !schema.features.includes(f));
  if (needed <= schema.version && unknown.length === 0) return;
  throw new ModelError(
    "unsupported",
    `this .minnow file needs format version ${needed}${unknown.length ? ` (${unknown.join(", ")})` : ""}; ` +
      `version ${schema.version} is known here`,
    { hint: "update Minnow, or convert the model again with this version" },
  );
}
