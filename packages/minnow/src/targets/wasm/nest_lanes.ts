// Loads of four elements that do not lie together.
import type { DType } from "../../graph/dtype.js";
import type { FunctionBuilder, Local } from "./assembler.js";
import { halfToFloatVector, loadScalar } from "./elements.js";

/** Four elements, `pushStride` bytes apart from the address that `pushAddress` pushes. */
export function loadStrided(
  f: FunctionBuilder,
  t: DType,
  pushAddress: () => void,
  pushStride: () => void,
  into: Local,
): void {
  const address = f.local();
  const wide = t === "float32" || t === "int32";
  pushAddress();
  f.set(address);
  for (let k = 0; k < 4; k++) {
    if (wide) {
      f.get(address);
      if (k === 0) f.mem("v128.load32_zero").set(into);
      else f.get(into).memLane("v128.load32_lane", k).set(into);
    } else {
      if (k > 0) f.get(into);
      f.get(address);
      if (t === "float16") f.mem("i32.load16_u");
      else loadScalar(f, t);
      if (k === 0) f.op("i32x4.splat").set(into);
      else f.lane("i32x4.replace_lane", k).set(into);
    }
    if (k < 3) {
      f.get(address);
      pushStride();
      f.op("i32.add").set(address);
    }
  }
  if (t === "float16") {
    f.get(into);
    halfToFloatVector(f);
    f.set(into);
  }
  f.free("i32", address);
}
