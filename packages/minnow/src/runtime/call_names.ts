// The names of one kind of call: those of the file, or those of a signature on top of them.
import type { Graph, Tensor } from "../graph/graph.js";
import type { Wanted } from "./inputs.js";
import { acceptedNames, findSignature, type Names } from "./names.js";
import type { TensorSpec } from "./types.js";

export interface CallNames {
  readonly wanted: Wanted;
  /** Outputs to give, by the name to give them. */
  readonly given: readonly (readonly [string, number])[];
  /** Every name that `into` may use. */
  readonly outputs: Names;
}

export class ModelNames {
  readonly plain: CallNames;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #signatures = new Map<string, CallNames>();

  constructor(private readonly graph: Graph) {
    const signatures = Object.values(graph.meta.signatures ?? {});
    const inputs = acceptedNames(
      graph.inputs,
      signatures.map((s) => s.inputs),
    );
    const outputs = acceptedNames(
      graph.outputs,
      signatures.map((s) => s.outputs),
    );
    this.inputs = graph.inputs.map((t, i) => specOf(t, inputs, i));
    this.outputs = graph.outputs.map((t, i) => specOf(t, outputs, i));
    this.plain = {
      wanted: { names: inputs, required: new Map(graph.inputs.map((t, i) => [i, t.name])) },
      given: graph.outputs.map((t, i) => [t.name, i]),
      outputs,
    };
  }

  /** @throws ModelError bad_option when there is no such signature */
  of(signature: string | undefined): CallNames {
    if (signature === undefined) return this.plain;
    const known = this.#signatures.get(signature);
    if (known) return known;
    const { wanted, outputs } = this.plain;
    const found = findSignature(this.graph.meta, signature, wanted.names, outputs);
    const own: CallNames = {
      wanted: {
        names: new Map([...wanted.names, ...found.inputs]),
        required: new Map([...wanted.required, ...[...found.inputs].map(([n, i]) => [i, n] as const)]),
      },
      given: [...found.outputs],
      outputs: new Map([...outputs, ...found.outputs]),
    };
    this.#signatures.set(signature, own);
    return own;
  }
}

const specOf = (t: Tensor, names: Names, i: number): TensorSpec => ({
  name: t.name,
  shape: [...t.shape],
  dtype: t.dtype,
  ...(t.quant && { quantization: t.quant }),
  aliases: [...names].filter(([n, j]) => j === i && n !== t.name).map(([n]) => n),
});
