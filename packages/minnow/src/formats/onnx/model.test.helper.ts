// Writes small ONNX models for tests, field numbers straight from onnx.proto.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export interface TensorSpec {
  name?: string;
  /** ONNX type code; default 1, float. */
  type?: number;
  dims: readonly number[];
  raw?: Uint8Array;
  floats?: readonly number[];
  int32s?: readonly number[];
  int64s?: readonly number[];
  strings?: readonly string[];
  external?: boolean;
}
export type AttrSpec =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { floats: readonly number[] }
  | { tensor: TensorSpec }
  | { graph: GraphSpec };
export interface NodeSpec {
  op: string;
  name?: string;
  domain?: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attrs?: Record<string, AttrSpec>;
}
export interface ValueSpec {
  name: string;
  type?: number;
  /** A number, a symbol, or null for neither. */
  shape?: readonly (number | string | null)[];
}
export interface GraphSpec {
  nodes: readonly NodeSpec[];
  inputs?: readonly ValueSpec[];
  outputs?: readonly ValueSpec[];
  initializers?: readonly TensorSpec[];
}
export interface ModelSpec extends GraphSpec {
  opset?: number;
  functions?: readonly string[];
  props?: Record<string, string>;
}

const block = (w: BinaryWriter, field: number, write: (w: BinaryWriter) => void): void => {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
};
const text = (w: BinaryWriter, field: number, s: string): BinaryWriter =>
  w.tag(field, WireType.LengthDelimited).string(s);
const int = (w: BinaryWriter, field: number, n: number): BinaryWriter =>
  w.tag(field, WireType.Varint).int64(BigInt(n));

function each(list: readonly number[] | undefined, write: (v: number) => BinaryWriter): void {
  for (const v of list ?? []) write(v);
}

function tensor(w: BinaryWriter, t: TensorSpec): void {
  for (const d of t.dims) int(w, 1, d);
  int(w, 2, t.type ?? 1);
  if (t.floats) block(w, 4, (p) => each(t.floats, (v) => p.float(v)));
  if (t.int32s) block(w, 5, (p) => each(t.int32s, (v) => p.int32(v)));
  for (const s of t.strings ?? []) text(w, 6, s);
  if (t.int64s) block(w, 7, (p) => each(t.int64s, (v) => p.int64(BigInt(v))));
  if (t.name !== undefined) text(w, 8, t.name);
  if (t.raw) w.tag(9, WireType.LengthDelimited).bytes(t.raw);
  if (t.external) int(w, 14, 1);
}

function attribute(w: BinaryWriter, name: string, v: AttrSpec): void {
  text(w, 1, name);
  const type = (n: number): BinaryWriter => int(w, 20, n);
  if (typeof v === "number") int(type(2), 3, v);
  else if (typeof v === "string") text(type(3), 4, v);
  else if ("float" in v) type(1).tag(2, WireType.Bit32).float(v.float);
  else if ("floats" in v) {
    type(6);
    each(v.floats, (f) => w.tag(7, WireType.Bit32).float(f));
  } else if ("tensor" in v) block(type(4), 5, (p) => tensor(p, v.tensor));
  else if ("graph" in v) block(type(5), 6, (p) => graph(p, v.graph));
  else {
    type(7);
    for (const n of v) int(w, 8, n);
  }
}

function valueInfo(w: BinaryWriter, v: ValueSpec): void {
  text(w, 1, v.name);
  block(w, 2, (type) =>
    block(type, 1, (t) => {
      int(t, 1, v.type ?? 1);
      if (!v.shape) return;
      block(t, 2, (shape) => {
        for (const d of v.shape ?? [])
          block(shape, 1, (dim) => {
            if (typeof d === "number") int(dim, 1, d);
            else if (d) text(dim, 2, d);
          });
      });
    }),
  );
}

function node(w: BinaryWriter, n: NodeSpec): void {
  for (const s of n.inputs) text(w, 1, s);
  for (const s of n.outputs) text(w, 2, s);
  if (n.name) text(w, 3, n.name);
  text(w, 4, n.op);
  if (n.domain) text(w, 7, n.domain);
  for (const [k, v] of Object.entries(n.attrs ?? {})) block(w, 5, (p) => attribute(p, k, v));
}

function graph(w: BinaryWriter, g: GraphSpec): void {
  for (const n of g.nodes) block(w, 1, (p) => node(p, n));
  text(w, 2, "test");
  for (const t of g.initializers ?? []) block(w, 5, (p) => tensor(p, t));
  for (const v of g.inputs ?? []) block(w, 11, (p) => valueInfo(p, v));
  for (const v of g.outputs ?? []) block(w, 12, (p) => valueInfo(p, v));
}

/** The bytes of a .onnx file. */
export function modelBytes(m: ModelSpec): Uint8Array {
  const w = new BinaryWriter();
  int(w, 1, 8);
  block(w, 8, (p) => int(p, 2, m.opset ?? 17));
  for (const [k, v] of Object.entries(m.props ?? {})) block(w, 14, (p) => text(text(p, 1, k), 2, v));
  for (const f of m.functions ?? []) block(w, 25, (p) => text(text(p, 1, f), 10, "local"));
  block(w, 7, (g) => graph(g, m));
  return w.finish();
}

export const float32 = (...v: number[]): Uint8Array => new Uint8Array(Float32Array.from(v).buffer);
