// What is made of an array's data is kept as long as the array, by key.
import type { TypedArray } from "./dtype.js";

/** A function that gives what `make` made for this array and key the first time. */
export function oncePer<T>(): (data: TypedArray, key: string, make: () => T) => T {
  const known = new WeakMap<TypedArray, Map<string, T>>();
  return (data, key, make) => {
    const of = known.get(data) ?? new Map<string, T>();
    known.set(data, of);
    const found = of.get(key);
    if (found !== undefined) return found;
    const made = make();
    of.set(key, made);
    return made;
  };
}
