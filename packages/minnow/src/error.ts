// The one error class of the library. Every failure a user can meet is a ModelError that says what
// went wrong (`code`), where (`op`, `tensor`), and what to do about it (`hint`).

export type ErrorCode =
  | "bad_file" // bytes do not follow their format
  | "unknown_format" // content is none of the formats that can be read
  | "unsupported" // an operator, type or attribute that Minnow lacks; `problems` lists them all
  | "bad_graph" // a cycle, an undefined tensor, shapes that cannot be
  | "bad_shape" // shapes do not fit together
  | "bad_input" // what was given to run(): name, dtype, length or shape
  | "bad_option" // an option of load(), run() or convert()
  | "out_of_memory" // the plan does not fit `maxMemory`
  | "too_much_work" // one run would take more operations than `maxOperations`
  | "index_out_of_range" // a gather, scatter or slice index outside its tensor, found while running
  | "aborted"
  | "disposed"
  | "io" // a file or URL could not be read or written
  | "device" // no such device here
  | "internal"; // a defect of Minnow

/** One thing that stops a model from running. */
export interface Problem {
  /** Operator type as the source format spells it. */
  op: string;
  /** Node name, or its place in the graph. */
  node: string;
  /** Why it cannot run. */
  reason: string;
  /** What the user can do. */
  hint?: string;
}

export interface ErrorDetails {
  op?: string;
  tensor?: string;
  hint?: string;
  problems?: readonly Problem[];
  cause?: unknown;
}

/** Every error of the library. `code` is stable; `message` is for people. */
export class ModelError extends Error {
  readonly code: ErrorCode;
  readonly op?: string;
  readonly tensor?: string;
  readonly hint?: string;
  readonly problems?: readonly Problem[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(details.hint ? `${message} (${details.hint})` : message, { cause: details.cause });
    this.name = "ModelError";
    this.code = code;
    if (details.op !== undefined) this.op = details.op;
    if (details.tensor !== undefined) this.tensor = details.tensor;
    if (details.hint !== undefined) this.hint = details.hint;
    if (details.problems !== undefined) this.problems = details.problems;
  }
}
