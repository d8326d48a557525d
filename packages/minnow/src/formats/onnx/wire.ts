// Protobuf messages from a table of fields. The wire format itself is @bufbuild/protobuf's; this file
// adds what an untrusted file needs: wire types checked, one budget for everything repeated, and
// packed numbers kept as bytes until their count is known to be right.
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ModelError } from "../../error.js";

/**
 * int: varint as number; numbers beyond 2^53 are rounded. packed: repeated scalars, joined but not
 * decoded. present: only that the field is there.
 */
type Scalar = "int" | "float" | "string" | "bytes" | "present";
export type FieldKind = Scalar | "strings" | "byteStrings" | "ints" | "floats" | "packed";

export interface MessageField {
  readonly message: Fields;
  readonly many: boolean;
}
/** Field number → [property, what it holds]. Other fields are skipped. */
export type Fields = { readonly [number: number]: readonly [name: string, kind: FieldKind | MessageField] };

export const one = (message: Fields): MessageField => ({ message, many: false });
export const many = (message: Fields): MessageField => ({ message, many: true });

/** Repeated scalars as the packed encoding lays them: a view of the file where they were written so. */
export class Packed {
  bytes: Uint8Array = new Uint8Array(0);
  #capacity: Uint8Array | null = null;

  append(more: Uint8Array): void {
    const used = this.bytes.length;
    if (used === 0) {
      this.bytes = more;
      return;
    }
    const need = used + more.length;
    if (!this.#capacity || this.#capacity.length < need) {
      const grown = new Uint8Array(Math.max(64, need * 2));
      grown.set(this.bytes);
      this.#capacity = grown;
    }
    this.#capacity.set(more, used);
    this.bytes = this.#capacity.subarray(0, need);
  }
}

/** Objects and strings cost far more than their bytes in the file; real models stay far below this. */
const maxEntries = 2_000_000;

/** Graphs within graphs, three messages each: the deepest met have five. */
const maxDepth = 100;

const text = new TextDecoder("utf-8", { ignoreBOM: true });

type Message = Record<string, unknown>;

const bad = (message: string, cause?: unknown): ModelError =>
  new ModelError("bad_file", `not a readable ONNX file: ${message}`, { cause });

/** Decodes one message; the caller's type must match the table. Throws ModelError "bad_file". */
export function decode<T>(bytes: Uint8Array, fields: Fields): T {
  const budget = { left: maxEntries };
  try {
    return message(bytes, fields, budget, 0) as T;
  } catch (e) {
    if (e instanceof ModelError) throw e;
    throw bad(e instanceof Error ? e.message : String(e), e);
  }
}

function message(bytes: Uint8Array, fields: Fields, budget: { left: number }, depth: number): Message {
  if (depth > maxDepth) throw bad("its graphs are nested too deep");
  const out: Message = Object.create(null) as Message;
  for (const name of repeatedIn(fields)) out[name] = [];
  const r = new BinaryReader(bytes);
  while (r.pos < r.len) {
    const [number, wire] = r.tag();
    const field = fields[number];
    if (!field) {
      r.skip(wire, number);
      continue;
    }
    if (--budget.left < 0) throw bad(`more than ${maxEntries} entries`);
    const [name, kind] = field;
    if (typeof kind === "object") {
      expect(wire, WireType.LengthDelimited, name);
      const value = message(r.bytes(), kind.message, budget, depth + 1);
      if (kind.many) (out[name] as Message[]).push(value);
      else out[name] = value;
    } else scalar(r, wire, number, name, kind, out);
  }
  if (r.pos !== r.len) throw bad("it ends inside a field");
  return out;
}

const repeated = new WeakMap<Fields, readonly string[]>();

/** Names of the fields that hold lists. */
function repeatedIn(fields: Fields): readonly string[] {
  let names = repeated.get(fields);
  if (!names) {
    names = Object.values(fields).flatMap(([name, kind]) => (isRepeated(kind) ? [name] : []));
    repeated.set(fields, names);
  }
  return names;
}

const isRepeated = (kind: FieldKind | MessageField): boolean =>
  typeof kind === "object"
    ? kind.many
    : kind === "strings" || kind === "byteStrings" || kind === "ints" || kind === "floats";

function expect(wire: WireType, wanted: WireType, name: string): void {
  if (wire !== wanted) throw bad(`field ${name} has wire type ${wire}, not ${wanted}`);
}

function scalar(
  r: BinaryReader,
  wire: WireType,
  number: number,
  name: string,
  kind: FieldKind,
  out: Message,
): void {
  switch (kind) {
    case "int":
      expect(wire, WireType.Varint, name);
      out[name] = Number(r.int64());
      return;
    case "float":
      expect(wire, WireType.Bit32, name);
      out[name] = r.float();
      return;
    case "string":
    case "bytes": {
      expect(wire, WireType.LengthDelimited, name);
      const b = r.bytes();
      out[name] = kind === "bytes" ? b : text.decode(b);
      return;
    }
    case "strings":
    case "byteStrings": {
      expect(wire, WireType.LengthDelimited, name);
      const b = r.bytes();
      (out[name] as unknown[]).push(kind === "strings" ? text.decode(b) : b);
      return;
    }
    case "ints":
    case "floats":
      numbers(r, wire, name, kind, out[name] as number[]);
      return;
    case "packed": {
      const packed = (out[name] as Packed | undefined) ?? new Packed();
      out[name] = packed;
      packed.append(wire === WireType.LengthDelimited ? r.bytes() : r.skip(wire, number));
      return;
    }
    case "present":
      r.skip(wire, number);
      out[name] = true;
  }
}

function numbers(
  r: BinaryReader,
  wire: WireType,
  name: string,
  kind: "ints" | "floats",
  out: number[],
): void {
  const single = kind === "ints" ? WireType.Varint : WireType.Bit32;
  const read = kind === "ints" ? (b: BinaryReader) => Number(b.int64()) : (b: BinaryReader) => b.float();
  if (wire === single) {
    out.push(read(r));
    return;
  }
  expect(wire, WireType.LengthDelimited, name);
  const inner = new BinaryReader(r.bytes());
  while (inner.pos < inner.len) out.push(read(inner));
  if (inner.pos !== inner.len) throw bad(`field ${name} ends inside a number`);
}
