// Plans and code that were made ahead of time and lie in a model's file, as the file's reader gives them to a
// target. What is in them only the target knows (targets/wasm/stored.ts).
import type { Graph, Metadata } from "./graph.js";

export interface Precompiled {
  /** For engines of this name, and of this form of calls. */
  readonly engine: string;
  readonly abi: number;
  /** JSON. */
  readonly plan: Uint8Array;
  readonly code: Uint8Array;
  /** Of plan and code. */
  readonly check: number;
}

/** What a file carries. */
export interface PrecompiledSet {
  readonly list: readonly Precompiled[];
  /** Small constants that the compiler made. */
  readonly data: Uint8Array;
}

/** Of a file that carries some, in bytes from its start. */
export interface Layout {
  /** Behind this lie large constants only. */
  readonly early: number;
  /** Of the whole. */
  readonly size: number;
}

/** What of a file is still to come. */
export interface Rest {
  /** The file: from byte `from` on there is only room, which takes no memory while nobody touches it. */
  readonly bytes: Uint8Array;
  readonly from: number;
  /** Gives bytes away piece by piece, from this one on (or earlier); a piece is good during the call. */
  pour(from: number, sink: (piece: Uint8Array, at: number) => void): Promise<void>;
  /** Puts it into its place. */
  all(): Promise<void>;
}

/** A file that carries some, of which nothing else has been read. */
export interface PrecompiledFile extends PrecompiledSet {
  readonly meta: Metadata;
  /** Constants as the file stores them. */
  readonly weights: Uint8Array;
  /** Where some of it is still to come. */
  readonly rest?: Rest | undefined;
  /**
   * Copies what is needed to read the graph later, when the file's bytes are gone: all but the constants that
   * are not in `ranges` (byte in the weights, bytes), which are then zeros.
   * @returns reads it; the second value: the weights' place in the buffer that its constants lie in
   */
  keep(ranges: readonly (readonly [number, number])[]): () => Promise<[Graph, number]>;
  /** Reads the graph from the file's bytes, all of which must have come; as above. */
  whole(): Promise<[Graph, number]>;
}
