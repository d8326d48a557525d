// The readable text form of a Graph: pass tests are two blocks of it, `info --graph` prints it.
//
//   graph main(%x: float32[N, 3, H, W]) -> (%y) {
//     const %w: float32[2] = [1, 2]
//     %t: float32[N, H, W, 3] = Transpose(%x) {perm: [0, 2, 3, 1]} @node_name
//     %y: int8[4] q(0.5, 3) aka (%old) = Quantize(%a, _) {to: "int8"}
//   }
//
// Metadata is not part of it. Printing and parsing again gives an equal graph (with `data: true`).
import type { Shape } from "./dim.js";
import { count, isConcrete } from "./dim.js";
import { type DType, halfToFloat, type TypedArray } from "./dtype.js";
import type { AttrValue, Graph, Node, Quantization, Tensor } from "./graph.js";

export { parse } from "./text_parse.js";

export interface PrintOptions {
  /** Print all elements of every constant; else those with more than 16 appear as a hash. */
  data?: boolean;
  /** Leave node names out. */
  names?: boolean;
}

const maxElements = 16;

/** The text form of a graph, one line a constant or node. */
export function print(graph: Graph, options: PrintOptions = {}): string {
  return `${printGraph(graph, options, "", new Set())}\n`;
}

function printGraph(graph: Graph, options: PrintOptions, indent: string, outer: ReadonlySet<Tensor>): string {
  const inner = `${indent}  `;
  const inputs = graph.inputs.map(declaration).join(", ");
  const outputs = graph.outputs.map((t) => reference(t)).join(", ");
  const lines = [`${indent}graph ${bare(graph.name)}(${inputs}) -> (${outputs}) {`];
  const shown = new Set(outer);
  for (const t of graph.tensors()) {
    if ((t.kind !== "constant" && t.kind !== "variable") || shown.has(t)) continue;
    shown.add(t);
    const data = printData(t, options.data ?? false);
    const keyword = t.kind === "constant" ? "const" : "variable";
    lines.push(`${inner}${keyword} ${declaration(t)}${data === null ? "" : ` = ${data}`}`);
  }
  for (const n of graph.nodes) lines.push(inner + printNode(n, options, inner, shown));
  lines.push(`${indent}}`);
  return lines.join("\n");
}

function printNode(n: Node, options: PrintOptions, indent: string, shown: ReadonlySet<Tensor>): string {
  const outputs = n.outputs.map(declaration).join(", ");
  const attrs = Object.keys(n.attrs)
    .sort()
    .map((k) => `${bare(k)}: ${printValue(n.attrs[k] as AttrValue)}`);
  let text = `${outputs} = ${bare(n.op)}(${n.inputs.map(reference).join(", ")})`;
  if (attrs.length) text += ` {${attrs.join(", ")}}`;
  if (options.names !== false && n.name !== (n.outputs[0]?.name ?? "")) text += ` @${bare(n.name)}`;
  for (const g of n.graphs ?? []) text += `\n${printGraph(g, options, `${indent}  `, shown)}`;
  return text;
}

const bare = (name: string): string => (/^[\w./-]+$/.test(name) ? name : JSON.stringify(name));
const reference = (t: Tensor | null): string => (t ? `%${bare(t.name)}` : "_");
const declaration = (t: Tensor): string =>
  `${reference(t)}: ${t.dtype}[${t.shape.join(", ")}]${printQuant(t.quant)}${
    t.aliases?.length ? ` aka (${t.aliases.map((a) => `%${bare(a)}`).join(", ")})` : ""
  }`;

function printQuant(q: Quantization | undefined): string {
  if (!q) return "";
  const list = (v: readonly number[], show: (x: number) => string): string =>
    v.length === 1 ? show(v[0] as number) : `[${v.map(show).join(", ")}]`;
  const axis = q.scale.length === 1 && q.zeroPoint.length === 1 ? "" : `, ${q.axis}`;
  return ` q(${list(q.scale, number)}, ${list(q.zeroPoint, number)}${axis})`;
}

function printValue(v: AttrValue): string {
  if (typeof v === "number") return number(v);
  if (typeof v === "string") return JSON.stringify(v);
  if (typeof v === "boolean") return String(v);
  return `[${v.map((x) => (typeof x === "number" ? number(x) : JSON.stringify(x))).join(", ")}]`;
}

function number(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x < 0 ? "-inf" : "inf";
  return Object.is(x, -0) ? "-0" : String(x);
}

/** The shortest decimal that gives the same float32. */
function float32(x: number): string {
  if (!Number.isFinite(x)) return number(x);
  for (let digits = 6; digits < 9; digits++) {
    const s = Number(x.toPrecision(digits));
    if (Math.fround(s) === x) return number(s);
  }
  return number(x);
}

function printData(t: Tensor, all: boolean): string | null {
  const { data, dtype, shape } = t;
  if (t.strings) return `[${t.strings.map((s) => JSON.stringify(s)).join(", ")}]`;
  if (!data) return null;
  const n = elements(dtype, shape, data);
  const same = n > maxElements && allEqual(data);
  if (same) return `fill(${element(dtype, data, 0)})`;
  if (n > maxElements && !all) return `#${hash(data)}`;
  const parts: string[] = [];
  for (let i = 0; i < n; i++) parts.push(element(dtype, data, i));
  return `[${parts.join(", ")}]`;
}

const elements = (dtype: DType, shape: Shape, data: TypedArray): number =>
  dtype === "int4" && isConcrete(shape) ? Math.min(count(shape), data.length * 2) : data.length;

function element(dtype: DType, data: TypedArray, i: number): string {
  if (dtype === "int4") {
    const nibble = ((data[i >> 1] as number) >> ((i & 1) * 4)) & 15;
    return String(nibble > 7 ? nibble - 16 : nibble);
  }
  const v = data[i] as number | bigint;
  if (dtype === "float16") return number(halfToFloat(v as number));
  return dtype === "float32" ? float32(v as number) : String(v);
}

function allEqual(data: TypedArray): boolean {
  const first = data[0];
  for (let i = 1; i < data.length; i++) if (!Object.is(data[i], first)) return false;
  return true;
}

/** FNV-1a over the bytes; enough to see in a printout that two constants differ. */
function hash(data: TypedArray): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let h = 2166136261;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ (bytes[i] as number), 16777619);
  return (h >>> 0).toString(16).padStart(8, "0");
}
