// Damages an ONNX model where its framing stays whole: numbers become absurd, names are swapped, fields
// dropped, repeated or cut. Byte-level damage mostly ends at a length; this reaches the operators.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Rng } from "../mutate.js";
import { type Field, parseFields, writeFields } from "./fields.test.helper.js";

const absurd = [
  0n,
  1n,
  2n,
  3n,
  7n,
  -1n,
  -2n,
  255n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

/** One to three fields of the model changed. */
export function mutateModel(bytes: Uint8Array, rng: Rng): Uint8Array {
  const below = (n: number): number => Math.floor(rng() * n);
  const root = parseFields(bytes);
  const lists: Field[][] = [];
  const collect = (fields: Field[]): void => {
    if (fields.length > 0) lists.push(fields);
    for (const f of fields) if (f.fields) collect(f.fields);
  };
  collect(root);
  for (let n = 1 + below(3); n > 0; n--) {
    const list = lists[below(lists.length)] as Field[];
    const at = below(list.length);
    const f = list[at];
    if (!f) continue;
    const kind = below(8);
    if (kind === 0) list.splice(at, 1);
    else if (kind === 1) for (let i = 1 + below(20); i > 0; i--) list.splice(at, 0, f);
    else if (f.wire === WireType.Varint)
      f.bytes = new BinaryWriter().int64(absurd[below(absurd.length)] as bigint).finish();
    else if (f.wire === WireType.LengthDelimited && !f.fields) {
      const other = (lists[below(lists.length)] as Field[]).find((g) => g.wire === f.wire && !g.fields);
      if (kind < 5 && other) f.bytes = other.bytes;
      else if (kind < 7) f.bytes = f.bytes.slice(0, below(f.bytes.length + 1));
      else f.bytes = Uint8Array.from(f.bytes, (b) => (rng() < 0.2 ? below(256) : b));
    } else if (f.bytes.length > 0) f.bytes = Uint8Array.from(f.bytes, () => below(256));
  }
  return writeFields(root).finish();
}
