// Options of TFLite's custom operators are FlexBuffers: self-describing, written backwards, the root in
// the last bytes. Only what such options use is read: one map from names to scalars. Anything nested is
// left out; every position is checked.
import { ModelError } from "../../error.js";

const types = { int: 1, uint: 2, float: 3, indirectInt: 6, indirectFloat: 8, map: 9, bool: 26 };

const maxEntries = 256;

/** The scalars of a FlexBuffer map. @throws ModelError bad_file */
export function readFlexMap(bytes: Uint8Array): Map<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (): never => {
    throw new ModelError("bad_file", "custom options are not a FlexBuffer map");
  };
  const check = (at: number, size: number) => {
    if (!(at >= 0 && size >= 0 && at + size <= bytes.length)) fail();
  };
  const uint = (at: number, width: number): number => {
    check(at, width);
    if (width === 1) return view.getUint8(at);
    if (width === 2) return view.getUint16(at, true);
    if (width === 4) return view.getUint32(at, true);
    return width === 8 ? Number(view.getBigUint64(at, true)) : fail();
  };
  const int = (at: number, width: number): number => {
    check(at, width);
    if (width === 8) return Number(view.getBigInt64(at, true));
    const unused = 32 - 8 * width;
    return (uint(at, width) << unused) >> unused;
  };
  const float = (at: number, width: number): number => {
    check(at, width);
    return width === 4 ? view.getFloat32(at, true) : width === 8 ? view.getFloat64(at, true) : fail();
  };
  const scalar = (type: number, at: number, width: number): number | undefined => {
    if (type === types.int) return int(at, width);
    if (type === types.uint || type === types.bool) return uint(at, width);
    return type === types.float ? float(at, width) : undefined;
  };

  const end = bytes.length;
  const rootWidth = uint(end - 1, 1);
  const rootType = uint(end - 2, 1);
  if (rootType >> 2 !== types.map) fail();
  const rootAt = end - 2 - rootWidth;
  const values = rootAt - uint(rootAt, rootWidth);
  const width = 1 << (rootType & 3);
  const count = uint(values - width, width);
  const keyWidth = uint(values - 2 * width, width);
  const keys = values - 3 * width - uint(values - 3 * width, width);
  if (count > maxEntries) fail();
  const map = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const keyAt = keys + i * keyWidth;
    const start = keyAt - uint(keyAt, keyWidth);
    check(start, 1);
    const stop = bytes.indexOf(0, start);
    const key = String.fromCharCode(...bytes.subarray(start, Math.min(stop < 0 ? end : stop, start + 64)));
    const packed = uint(values + count * width + i, 1);
    const type = packed >> 2;
    const at = values + i * width;
    const value =
      type >= types.indirectInt && type <= types.indirectFloat
        ? scalar(type - types.indirectInt + types.int, at - uint(at, width), 1 << (packed & 3))
        : scalar(type, at, width);
    if (value !== undefined) map.set(key, value);
  }
  return map;
}
