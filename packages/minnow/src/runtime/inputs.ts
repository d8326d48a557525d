// What was given to run(), matched to the model's inputs: names, then shapes. Every name that is
// missing or unknown is reported at once, with what was expected and what came.
import { count, isConcrete, type Shape } from "../graph/dim.js";
import type { Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { type Names, suggestion } from "./names.js";
import { type Dims, inferShape, matchShape, substitute } from "./shapes.js";
import type { InputValue, ModelInputs } from "./types.js";
import { accepted, type FlatValue, flatten, isValue, ValueError } from "./values.js";

/** Shapes that resize() allowed beyond the declared ones, by input index. */
export type Overrides = Map<number, Shape[]>;

/** `wanted` = the inputs that a call must give (all, or those of a signature), by name. */
export interface Wanted {
  readonly names: Names;
  /** Indices that must be there, with the name to ask for. */
  readonly required: ReadonlyMap<number, string>;
}

/** The given values by input index. */
export function matchNames(given: ModelInputs, ports: readonly Tensor[], wanted: Wanted): InputValue[] {
  const { names, required } = wanted;
  if (isSingle(given, names, required)) {
    if (required.size !== 1)
      throw new ModelError("bad_input", `the model has ${required.size} inputs, one value was given`, {
        hint: `give a record: { ${[...required.values()].slice(0, 6).join(", ")} }`,
      });
    const out: InputValue[] = new Array(ports.length);
    for (const i of required.keys()) out[i] = given as InputValue;
    return out;
  }
  const record = given as Readonly<Record<string, InputValue>>;
  const out: InputValue[] = new Array(ports.length);
  const problems: string[] = [];
  let found = 0;
  for (const name of Object.keys(record)) {
    const i = names.get(name);
    if (i === undefined)
      problems.push(`unknown input ${JSON.stringify(name)}: ${suggestion(name, [...required.values()])}`);
    else if (out[i] !== undefined) problems.push(`input ${JSON.stringify(ports[i]?.name)} was given twice`);
    else {
      out[i] = record[name] as InputValue;
      if (out[i] !== undefined) found++;
    }
  }
  if (found === required.size && !problems.length) return out;
  for (const [i, name] of required) {
    if (out[i] !== undefined) continue;
    const { dtype, shape } = ports[i] as Tensor;
    problems.push(`missing input ${JSON.stringify(name)} (${dtype} [${shape.join(", ")}])`);
  }
  if (problems.length) throw new ModelError("bad_input", problems.join("; "));
  return out;
}

/** A value, not a record of values: `{ data, shape }` counts as one unless an input is called "data". */
function isSingle(given: ModelInputs, names: Names, required: ReadonlyMap<number, string>): boolean {
  if (isValue(given)) return true;
  if (given === null || typeof given !== "object")
    throw new ModelError("bad_input", `run() was given ${given === null ? "null" : typeof given}`, {
      hint: `give a record: { ${[...required.values()].slice(0, 6).join(", ")} }`,
    });
  if (!("data" in given) || !isValue((given as { data: unknown }).data)) return false;
  return "shape" in given ? !names.has("shape") : !names.has("data");
}

export interface Matched {
  readonly values: readonly FlatValue[];
  readonly shapes: readonly (readonly number[])[];
  readonly dims: Dims;
}

/** Concrete shapes of all inputs. Those that say their shape go first: they settle dimensions. */
export function matchShapes(
  values: readonly InputValue[],
  ports: readonly Tensor[],
  overrides: Overrides,
): Matched {
  const dims: Dims = new Map();
  const flat = ports.map((t, i) => about(t, () => flatten(values[i])));
  const shapes: (readonly number[])[] = new Array(ports.length);
  ports.forEach((t, i) => {
    const shape = flat[i]?.shape;
    if (!shape) return;
    const declared = allowed(overrides, i, (s) => same(s, shape)) ?? t.shape;
    about(t, () => matchShape(declared, shape, dims));
    shapes[i] = shape;
  });
  const open = (t: Tensor): number => substitute(t.shape, dims).filter((d) => typeof d === "string").length;
  const rest = ports.map((_, i) => i).filter((i) => !shapes[i]);
  rest.sort((a, b) => open(ports[a] as Tensor) - open(ports[b] as Tensor));
  for (const i of rest) {
    const t = ports[i] as Tensor;
    const { length } = (flat[i] as FlatValue).data;
    const declared = allowed(overrides, i, (s) => isConcrete(s) && count(s) === length);
    const own = isConcrete(t.shape) && count(t.shape) === length;
    shapes[i] = about(t, () => inferShape(own ? t.shape : (declared ?? t.shape), length, dims));
  }
  return { values: flat, shapes, dims };
}

const same = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);
const allowed = (o: Overrides, i: number, fits: (s: Shape) => boolean): Shape | undefined =>
  o.get(i)?.find(fits);

/** Says which input a complaint is about and what that input takes. */
export function about<T>(t: Tensor, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (!(e instanceof ValueError)) throw e;
    const expects = `it takes ${accepted[t.dtype]}, shape [${t.shape.join(", ")}]`;
    throw new ModelError("bad_input", `input ${JSON.stringify(t.name)} ${e.message}; ${expects}`, {
      tensor: t.name,
      ...(e.hint && { hint: e.hint }),
    });
  }
}
