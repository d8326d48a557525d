// Reads the text form of a Graph (text.ts). Types of values may be left out (shape inference fills
// them in), and constants may be given as `fill(v)`, `range` (0, 1, 2 …) or `random(seed)`, uniform in
// [−1, 1) for floats and over −8…7 (0…15 unsigned) for integers, so that tests stay short.
import { ModelError } from "../error.js";
import type { Dim } from "./dim.js";
import { type DType, floatToHalf, isDType, newArray, type TypedArray } from "./dtype.js";
import { type AttrValue, type Attrs, Graph, type Node, type Quantization, type Tensor } from "./graph.js";

/** @throws ModelError "bad_graph" naming the line */
export function parse(text: string): Graph {
  const p = new Parser(text);
  const graph = p.graph(new Map());
  p.end();
  return graph;
}

class Parser {
  #at = 0;

  constructor(private readonly text: string) {}

  graph(outer: ReadonlyMap<string, Tensor>): Graph {
    const g = new Graph();
    const scope = new Map(outer);
    const own = new Set<string>();
    const define = (t: Tensor): Tensor => {
      if (own.has(t.name)) this.#fail(`tensor %${t.name} is defined twice`);
      own.add(t.name);
      scope.set(t.name, t);
      return t;
    };
    this.#keyword("graph");
    g.name = this.#word();
    this.#list("(", ")", () => g.inputs.push(define(this.#declaration("input"))));
    this.#expect("->");
    const outputs: string[] = [];
    this.#list("(", ")", () => outputs.push(this.#tensorName()));
    this.#expect("{");
    while (!this.#accept("}")) {
      if (this.#peekWord("const") || this.#peekWord("variable")) define(this.#constant());
      else g.nodes.push(this.#node(scope, define));
    }
    for (const name of outputs) g.outputs.push(this.#lookup(scope, name));
    return g;
  }

  end(): void {
    this.#space();
    if (this.#at < this.text.length) this.#fail("text after the graph");
  }

  #constant(): Tensor {
    const kind = this.#word() === "const" ? "constant" : "variable";
    const t = this.#declaration(kind);
    if (this.#accept("=")) this.#data(t);
    else if (kind === "constant") this.#fail(`constant %${t.name} has no data`);
    return t;
  }

  #node(scope: ReadonlyMap<string, Tensor>, define: (t: Tensor) => Tensor): Node {
    const outputs: Tensor[] = [];
    do outputs.push(this.#declaration("value"));
    while (this.#accept(","));
    this.#expect("=");
    const op = this.#word();
    const inputs: (Tensor | null)[] = [];
    this.#list("(", ")", () =>
      inputs.push(this.#accept("_") ? null : this.#lookup(scope, this.#tensorName())),
    );
    const attrs: Attrs = {};
    if (this.#peek("{"))
      this.#list("{", "}", () => {
        const name = this.#word();
        this.#expect(":");
        attrs[name] = this.#value();
      });
    const name = this.#accept("@") ? this.#word() : (outputs[0] as Tensor).name;
    const node: Node = { op, name, inputs, outputs, attrs };
    const graphs: Graph[] = [];
    while (this.#peekWord("graph")) graphs.push(this.graph(scope));
    if (graphs.length) node.graphs = graphs;
    for (const t of outputs) define(t);
    return node;
  }

  /** `%name[: type] [q(…)] [aka (…)]` */
  #declaration(kind: Tensor["kind"]): Tensor {
    const t: Tensor = { name: this.#tensorName(), dtype: "float32", shape: [], kind };
    if (!this.#accept(":")) return t;
    const dtype = this.#word();
    if (!isDType(dtype)) this.#fail(`${dtype} is no type`);
    t.dtype = dtype;
    t.shape = this.#shape();
    if (this.#peekWord("q")) t.quant = this.#quant();
    if (this.#peekWord("aka")) {
      this.#word();
      const aliases: string[] = [];
      this.#list("(", ")", () => aliases.push(this.#tensorName()));
      t.aliases = aliases;
    }
    return t;
  }

  #quant(): Quantization {
    this.#keyword("q");
    this.#expect("(");
    const numbers = (): number[] => {
      const v = this.#value();
      const list = typeof v === "number" ? [v] : v;
      if (!Array.isArray(list) || !list.every((x) => typeof x === "number")) this.#fail("q() wants numbers");
      return list as number[];
    };
    const scale = numbers();
    const zeroPoint = this.#accept(",") ? numbers() : [0];
    const axis = this.#accept(",") ? this.#value() : 0;
    if (typeof axis !== "number") this.#fail("the axis of q() is not a number");
    this.#expect(")");
    return { scale, zeroPoint, axis };
  }

  /** Dimensions are numbers or sums as graph/dim.ts writes them: taken as text up to a comma. */
  #shape(): Dim[] {
    this.#expect("[");
    const dims: Dim[] = [];
    let depth = 0;
    let start = this.#at;
    const push = (): void => {
      const text = this.text.slice(start, this.#at).trim();
      if (text) dims.push(/^\d+$/.test(text) ? Number(text) : text);
      else if (dims.length || this.text[this.#at] === ",") this.#fail("a dimension is missing");
    };
    for (; ; this.#at++) {
      const c = this.text[this.#at];
      if (c === undefined || c === "\n") this.#fail("a shape does not end");
      if (c === "(") depth++;
      if (c === ")") depth--;
      if (depth > 0 || (c !== "," && c !== "]")) continue;
      push();
      start = this.#at + 1;
      if (c === "]") break;
    }
    this.#at++;
    return dims;
  }

  #data(t: Tensor): void {
    const n = t.shape.reduce<number>((a, d) => {
      if (typeof d !== "number") this.#fail(`constant %${t.name} has a symbolic shape`);
      return a * d;
    }, 1);
    if (n > 1 << 28) this.#fail(`constant %${t.name} is too large for text`);
    if (this.#peek("#")) this.#fail(`the data of %${t.name} was left out; print with { data: true }`);
    let values: (i: number) => number | string;
    if (this.#peek("[")) {
      const v = this.#value() as readonly (number | string)[];
      if (v.length !== n) this.#fail(`%${t.name} has ${n} elements, ${v.length} given`);
      if (v.every((x) => typeof x === "string") && t.dtype === "string") t.strings = v as string[];
      values = (i) => v[i] as number;
    } else {
      const how = this.#word();
      const argument = how === "range" ? 0 : this.#argument();
      if (how === "fill") values = () => argument;
      else if (how === "range") values = (i) => i;
      else if (how === "random") values = random(argument, t.dtype);
      else this.#fail(`${how} is no way to give data`);
    }
    if (t.dtype === "string") {
      if (!t.strings) this.#fail(`%${t.name} wants strings`);
      return;
    }
    t.data = newArray(t.dtype, n);
    for (let i = 0; i < n; i++) {
      const v = values(i);
      if (typeof v !== "number") this.#fail(`%${t.name} wants numbers`);
      store(t.dtype, t.data, i, v);
    }
  }

  #argument(): number {
    this.#expect("(");
    const v = this.#value();
    if (typeof v !== "number") this.#fail("a number is wanted");
    this.#expect(")");
    return v;
  }

  #value(): AttrValue {
    if (this.#peek("[")) {
      const items: (number | string)[] = [];
      this.#list("[", "]", () => {
        const v = this.#value();
        if (typeof v !== "number" && typeof v !== "string") this.#fail("a list holds numbers or strings");
        items.push(v);
      });
      return items as readonly number[];
    }
    if (this.#peek('"')) return this.#quoted();
    const token = this.#match(/-?[\w.+-]+/y);
    if (token === null) this.#fail("a value is wanted");
    if (token === "true" || token === "false") return token === "true";
    const n =
      token === "inf" ? Infinity : token === "-inf" ? -Infinity : token === "nan" ? NaN : Number(token);
    if (Number.isNaN(n) && token !== "nan") this.#fail(`${token} is no value`);
    return n;
  }

  #list(open: string, close: string, item: () => void): void {
    this.#expect(open);
    if (this.#accept(close)) return;
    do item();
    while (this.#accept(","));
    this.#expect(close);
  }

  #lookup(scope: ReadonlyMap<string, Tensor>, name: string): Tensor {
    return scope.get(name) ?? this.#fail(`tensor %${name} is not defined`);
  }

  #tensorName(): string {
    this.#expect("%");
    return this.#word();
  }

  #word(): string {
    if (this.#peek('"')) return this.#quoted();
    return this.#match(/[\w./-]+/y) ?? this.#fail("a name is wanted");
  }

  #quoted(): string {
    const token = this.#match(/"(?:[^"\\\n]|\\.)*"/y) ?? this.#fail("a string does not end");
    try {
      return JSON.parse(token) as string;
    } catch {
      return this.#fail(`${token} is no string`);
    }
  }

  #keyword(word: string): void {
    if (!this.#peekWord(word)) this.#fail(`"${word}" is wanted`);
    this.#at += word.length;
  }

  #peekWord(word: string): boolean {
    return this.#peek(word) && !/[\w./-]/.test(this.text[this.#at + word.length] ?? " ");
  }

  #peek(token: string): boolean {
    this.#space();
    return this.text.startsWith(token, this.#at);
  }

  #accept(token: string): boolean {
    if (!this.#peek(token)) return false;
    this.#at += token.length;
    return true;
  }

  #expect(token: string): void {
    if (!this.#accept(token)) this.#fail(`"${token}" is wanted`);
  }

  #match(pattern: RegExp): string | null {
    this.#space();
    pattern.lastIndex = this.#at;
    const m = pattern.exec(this.text);
    if (m) this.#at += m[0].length;
    return m ? m[0] : null;
  }

  #space(): void {
    const pattern = /(?:\s+|\/\/[^\n]*)*/y;
    pattern.lastIndex = this.#at;
    this.#at += pattern.exec(this.text)?.[0].length ?? 0;
  }

  #fail(message: string): never {
    const line = this.text.slice(0, this.#at).split("\n").length;
    const rest = this.text.slice(this.#at, this.#at + 24).split("\n")[0];
    throw new ModelError(
      "bad_graph",
      `line ${line}: ${message}${rest ? `, at ${JSON.stringify(rest)}` : ""}`,
    );
  }
}

function store(dtype: DType, data: TypedArray, i: number, v: number): void {
  if (data instanceof BigInt64Array) data[i] = BigInt(v);
  else if (dtype === "float16") data[i] = floatToHalf(v);
  else if (dtype === "int4") data[i >> 1] = (data[i >> 1] as number) | ((v & 15) << ((i & 1) * 4));
  else data[i] = v;
}

/** mulberry32: the same numbers everywhere. */
function random(seed: number, dtype: DType): () => number {
  let s = seed >>> 0;
  const next = (): number => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  if (dtype === "float32" || dtype === "float16") return () => next() * 2 - 1;
  if (dtype === "bool") return () => (next() < 0.5 ? 0 : 1);
  return dtype === "uint8" ? () => Math.floor(next() * 16) : () => Math.floor(next() * 16) - 8;
}
