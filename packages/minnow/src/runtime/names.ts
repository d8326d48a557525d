// Which names run() accepts. A tensor goes by the file's name, its aliases, a signature's name, and by
// short forms of these ("serving_default_image:0" → "image") as long as they are unambiguous.
import { closest } from "../closest.js";
import type { Metadata, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";

/** Name → index of the port. */
export type Names = ReadonlyMap<string, number>;

/** "serving_default_image:0" → "image", "a/b/scores" → "scores"; itself when there is nothing to strip. */
export function shortName(name: string): string {
  const base = name.replace(/:\d+$/, "");
  const last = base.slice(base.lastIndexOf("/") + 1) || base;
  return last.replace(/^serving_default_/, "") || last;
}

/** Earlier groups win; inside a group, a name of two ports names neither. */
function collect(groups: readonly (readonly (readonly [string, number])[])[]): Map<string, number> {
  const names = new Map<string, number>();
  for (const group of groups) {
    const found = new Map<string, number>();
    const twice = new Set<string>();
    for (const [name, i] of group) {
      if (found.has(name) && found.get(name) !== i) twice.add(name);
      found.set(name, i);
    }
    for (const [name, i] of found) if (!twice.has(name) && !names.has(name)) names.set(name, i);
  }
  return names;
}

/** A side of a signature: its own name → tensor name. */
export type SignatureSide = Readonly<Record<string, string>>;

export function acceptedNames(
  ports: readonly Tensor[],
  signatures: readonly SignatureSide[],
): Map<string, number> {
  const exact = ports.map((t, i) => [t.name, i] as const);
  const aliases = ports.flatMap((t, i) => (t.aliases ?? []).map((a) => [a, i] as const));
  const known = collect([exact, aliases]);
  const signed = signatures.flatMap((side) =>
    Object.entries(side).flatMap(([own, tensor]) => {
      const i = known.get(tensor);
      return i === undefined ? [] : [[own, i] as const];
    }),
  );
  const short = [...exact, ...aliases].flatMap(([n, i]) => [
    [shortName(n), i] as const,
    [n.replace(/:\d+$/, ""), i] as const,
  ]);
  return collect([exact, aliases, signed, short]);
}

/** The names of one signature for the ports it covers, in its order. */
export interface Signature {
  readonly inputs: ReadonlyMap<string, number>;
  readonly outputs: ReadonlyMap<string, number>;
}

export function findSignature(meta: Metadata, name: string, inputs: Names, outputs: Names): Signature {
  const signature = Object.hasOwn(meta.signatures ?? {}, name) ? meta.signatures?.[name] : undefined;
  if (!signature)
    throw new ModelError("bad_option", `the model has no signature ${JSON.stringify(name)}`, {
      hint: suggestion(name, Object.keys(meta.signatures ?? {})),
    });
  const side = (s: SignatureSide, names: Names): Map<string, number> =>
    new Map(
      Object.entries(s).flatMap(([own, tensor]) => {
        const i = names.get(tensor);
        return i === undefined ? [] : [[own, i] as const];
      }),
    );
  return { inputs: side(signature.inputs, inputs), outputs: side(signature.outputs, outputs) };
}

/** "did you mean …?" or the list of what there is. */
export function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return "there is none";
  const near = closest(name, known);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  const shown = known.slice(0, 8).map((k) => JSON.stringify(k));
  return `known: ${shown.join(", ")}${known.length > shown.length ? `, … (${known.length})` : ""}`;
}
