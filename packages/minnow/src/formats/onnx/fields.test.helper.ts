// An ONNX file as a tree of protobuf fields that tests can change and write back.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Field number → the message inside; other fields are leaves. */
export interface Nested {
  readonly [field: number]: Nested;
}
const tensor: Nested = { 13: {} };
const valueInfo: Nested = { 2: { 1: { 2: { 1: {} } } } };
export const modelFields: Nested = {
  7: { 1: { 5: { 5: tensor, 10: tensor } }, 5: tensor, 11: valueInfo, 12: valueInfo },
  8: {},
};

export interface Field {
  readonly number: number;
  readonly wire: WireType;
  /** The fields of a nested message. */
  readonly fields?: Field[];
  /** A leaf's value, without tag and length. */
  bytes: Uint8Array;
}

export function parseFields(bytes: Uint8Array, nested: Nested = modelFields): Field[] {
  const r = new BinaryReader(bytes);
  const out: Field[] = [];
  while (r.pos < r.len) {
    const [number, wire] = r.tag();
    const inner = nested[number];
    if (inner && wire === WireType.LengthDelimited)
      out.push({ number, wire, fields: parseFields(r.bytes(), inner), bytes: new Uint8Array(0) });
    else
      out.push({ number, wire, bytes: wire === WireType.LengthDelimited ? r.bytes() : r.skip(wire, number) });
  }
  return out;
}

export function writeFields(fields: readonly Field[], w = new BinaryWriter()): BinaryWriter {
  for (const f of fields) {
    w.tag(f.number, f.wire);
    if (f.fields) {
      w.fork();
      writeFields(f.fields, w);
      w.join();
    } else if (f.wire === WireType.LengthDelimited) w.bytes(f.bytes);
    else w.raw(f.bytes);
  }
  return w;
}

/** All fields at a path of field numbers. */
export const at = (fields: readonly Field[], ...path: number[]): Field[] =>
  path.reduce<readonly Field[]>(
    (list, n, i) => (i === 0 ? list : list.flatMap((f) => f.fields ?? [])).filter((f) => f.number === n),
    fields,
  ) as Field[];

/** The model with inputs and outputs of double (type 11) declared as float (1). */
export function doublesAsFloats(model: Uint8Array): Uint8Array {
  const fields = parseFields(model);
  for (const list of [11, 12])
    for (const f of at(fields, 7, list, 2, 1, 1))
      if (f.bytes.length === 1 && f.bytes[0] === 11) f.bytes = Uint8Array.of(1);
  return writeFields(fields).finish();
}

/** The model with these TensorProtos as further initialisers: inputs of the same name become constants. */
export function withInitializers(model: Uint8Array, tensors: readonly Uint8Array[]): Uint8Array {
  const fields = parseFields(model);
  const more = tensors.map((bytes): Field => ({ number: 5, wire: WireType.LengthDelimited, bytes }));
  for (const g of at(fields, 7)) g.fields?.push(...more);
  return writeFields(fields).finish();
}
