// Reads a .minnow file. Part of every bundle that runs models, so small; weights are views of the
// file's bytes. It believes nothing: tables through the checked FlatBuffer, indices, sizes and order here.
import { count, type Dim, isConcrete } from "../../graph/dim.js";
import { arrayFromBytes, byteSize } from "../../graph/dtype.js";
import { type Attrs, type AttrValue, Graph, type Node, type Tensor } from "../../graph/graph.js";
import { isMinnow } from "../../graph/released.js";
import { checkGraph } from "../check.js";
import { FlatBuffer, type Table } from "../flatbuffer.js";
import { readMeta } from "./meta.js";
import * as schema from "./schema.js";
import { checkVersion } from "./version.js";

const maxDepth = 16;

/**
 * Reads a model; constants are views of `bytes`.
 * @throws ModelError bad_file; "unsupported" where the file needs a newer version
 */
export function readMinnow(bytes: Uint8Array): Graph {
  const file = new FlatBuffer(bytes, ".minnow file");
  const model = file.root();
  if (!isMinnow(bytes)) file.fail("it lacks the mark MNOW");
  checkVersion(model);
  const symbols = model.strings(schema.model.symbols) ?? [];
  const weights = model.num(schema.model.weights, "u64");
  const tensors = model.tables(schema.model.tensors).map((t) => readTensor(t, symbols, weights));
  const main = model.table(schema.model.graph) ?? file.fail("it has no graph");
  const graph = readGraph(main, tensors, 0);
  graph.meta = readMeta(model.string(schema.model.meta));
  checkGraph(graph, file.what);
  return graph;
}

/** A file's bytes from its weights on. */
export function weightsOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(new FlatBuffer(bytes, ".minnow file").root().num(schema.model.weights, "u64"));
}

function readTensor(t: Table, symbols: readonly string[], weights: number): Tensor {
  const { file } = t;
  const name = t.string(schema.tensor.name) ?? "";
  const fail = (why: string): never => file.fail(`tensor ${JSON.stringify(name)}: ${why}`);
  const dtype = schema.dtypes[t.num(schema.tensor.dtype, "u8")] ?? fail("unknown type");
  const kind = schema.kinds[t.num(schema.tensor.kind, "u8")] ?? fail("unknown kind");
  const shape = (t.nums(schema.tensor.shape, "i64") ?? []).map(
    (d): Dim => (d >= 0 ? d : (symbols[-1 - d] ?? fail("unknown symbol"))),
  );
  const made: Tensor = { name, dtype, shape, kind };
  const storage = t.num(schema.tensor.storage, "u8");
  if (storage > 1) fail(`unknown storage form ${storage}`);
  if (storage === 1) {
    const size = t.num(schema.tensor.size, "u64");
    const at = weights + t.num(schema.tensor.offset, "u64");
    file.range(at, size);
    if (dtype === "string" || !isConcrete(shape) || byteSize(dtype, count(shape)) !== size)
      fail(`${size} bytes of ${dtype} for shape [${shape}]`);
    made.data = arrayFromBytes(dtype, file.bytes.subarray(at, at + size));
  }
  const strings = t.strings(schema.tensor.strings);
  if (strings) made.strings = strings;
  if (
    kind === "constant" &&
    !made.data &&
    !(dtype === "string" && strings?.length === count(shape as number[]))
  )
    fail("a constant without data");
  const scale = t.nums(schema.tensor.scale, "f64");
  if (scale) {
    const zeroPoint = t.nums(schema.tensor.zeroPoint, "i32") ?? scale.map(() => 0);
    const axis = t.num(schema.tensor.axis, "i32");
    if (
      scale.length === 0 ||
      zeroPoint.length !== scale.length ||
      (scale.length > 1 && shape[axis] !== scale.length)
    )
      fail(`${scale.length} scales and ${zeroPoint.length} zero points along axis ${axis} of [${shape}]`);
    made.quant = { scale, zeroPoint, axis };
  }
  const aliases = t.strings(schema.tensor.aliases);
  if (aliases) made.aliases = aliases;
  return made;
}

function readGraph(t: Table, tensors: readonly Tensor[], depth: number): Graph {
  if (depth > maxDepth) t.file.fail("its graphs are nested too deep");
  const get = (i: number): Tensor => tensors[i] ?? t.file.fail(`tensor ${i} does not exist`);
  const list = (from: Table, slot: number): number[] => from.nums(slot, "i32") ?? [];
  const graph = new Graph();
  graph.name = t.string(schema.graph.name) ?? "";
  graph.inputs = list(t, schema.graph.inputs).map(get);
  graph.outputs = list(t, schema.graph.outputs).map(get);
  graph.nodes = t.tables(schema.graph.nodes).map((n) => {
    const node: Node = {
      op: n.string(schema.node.op) ?? "",
      name: n.string(schema.node.name) ?? "",
      inputs: list(n, schema.node.inputs).map((i) => (i === -1 ? null : get(i))),
      outputs: list(n, schema.node.outputs).map(get),
      attrs: readAttrs(n),
    };
    const graphs = n.tables(schema.node.graphs);
    if (graphs.length > 0) node.graphs = graphs.map((g) => readGraph(g, tensors, depth + 1));
    return node;
  });
  return graph;
}

function readAttrs(n: Table): Attrs {
  const attrs: Attrs = {};
  for (const a of n.tables(schema.node.attrs)) {
    const name = a.string(schema.attr.name) ?? "";
    if (name === "__proto__") a.file.fail("an attribute named __proto__");
    attrs[name] = readAttr(a, name);
  }
  return attrs;
}

function readAttr(a: Table, name: string): AttrValue {
  const type = schema.attrTypes[a.num(schema.attr.type, "u8")];
  const numbers = a.nums(schema.attr.numbers, "f64");
  const texts = a.strings(schema.attr.texts);
  const first = numbers?.[0];
  if (type === "number" && first !== undefined) return first;
  if (type === "boolean" && first !== undefined) return first !== 0;
  if (type === "string" && texts?.[0] !== undefined) return texts[0];
  if (type === "numbers" && numbers) return numbers;
  if (type === "strings" && texts) return texts;
  return a.file.fail(`attribute ${name} has no value`);
}
