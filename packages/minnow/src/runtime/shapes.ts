// Which concrete shape each input has: from what came with the values, from the declared shapes, and
// from the dimensions that these settle ("N×3×H×W" and 1×3×480×640 give N, H and W).
import { count, type Dim, isConcrete, type Shape } from "../graph/dim.js";
import { ValueError } from "./values.js";

/** Symbol → size, as far as settled. */
export type Dims = Map<string, number>;

const show = (shape: Shape): string => `[${shape.join(", ")}]`;
const isSymbol = (d: Dim): d is string => typeof d === "string" && /^[\w.]+$/.test(d);

/** The declared shape with settled symbols filled in. */
export const substitute = (shape: Shape, dims: Dims): Dim[] =>
  shape.map((d) => (typeof d === "string" ? (dims.get(d) ?? d) : d));

/** Fits a given shape to a declared one and settles its symbols. */
export function matchShape(declared: Shape, given: readonly number[], dims: Dims): void {
  const bound = substitute(declared, dims);
  const fits =
    given.length === declared.length && bound.every((d, i) => typeof d === "string" || d === given[i]);
  if (!fits) throw new ValueError(`has shape ${show(given)}, not ${show(bound)}`);
  declared.forEach((d, i) => {
    if (!isSymbol(d)) return;
    const size = given[i] as number;
    const known = dims.get(d);
    if (known !== undefined && known !== size)
      throw new ValueError(`has shape ${show(given)}: ${d} is ${known} already`);
    dims.set(d, size);
  });
}

/** The shape of `length` elements: what is declared, with at most one dimension left free. */
export function inferShape(declared: Shape, length: number, dims: Dims): readonly number[] {
  const bound = substitute(declared, dims);
  if (isConcrete(bound)) {
    if (count(bound) !== length)
      throw new ValueError(`has ${length} elements, not ${count(bound)} (${show(bound)})`);
    return bound;
  }
  const free = bound.filter((d): d is string => typeof d === "string");
  if (free.length > 1)
    throw new ValueError(
      `has ${length} elements but ${free.join(", ")} of ${show(bound)} are open`,
      "give { data, shape }, or bind them with `dims` when loading",
    );
  const known = count(bound.filter((d): d is number => typeof d === "number"));
  const size = known === 0 ? 0 : length / known;
  if (!Number.isInteger(size) || size * known !== length)
    throw new ValueError(`has ${length} elements, not a multiple of ${known} (${show(bound)})`);
  const shape = bound.map((d) => (typeof d === "number" ? d : size));
  const name = free[0] as string;
  if (isSymbol(name)) dims.set(name, size);
  return shape;
}
