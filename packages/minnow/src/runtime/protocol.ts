// The messages between a page and the worker that holds its model: plain data, one request with an id
// and one answer. Events and progress come in between. Both kinds of worker (web, Node) look the same.
import type { Metadata } from "../graph/graph.js";
import { type ErrorCode, ModelError, type Problem } from "../error.js";
import { isNode, type NodePort } from "./node.js";
import type { ProfileData } from "./profile.js";
import type { ReportData } from "./report.js";
import type { LoadOptions, ModelEvent, ModelInputs, ModelOutputs, Progress, TensorSpec } from "./types.js";

/** A web Worker or a worker thread of node:worker_threads. */
export type Transport = Worker | NodePort;

/** What of LoadOptions crosses over. */
export const crossing = [
  "device",
  "threads",
  "dims",
  "shapes",
  "values",
  "outputs",
  "maxMemory",
  "maxOperations",
  "memory",
  "deterministic",
  "fuse",
  "precompiled",
] as const satisfies readonly (keyof LoadOptions)[];

export type RemoteOptions = Pick<LoadOptions, (typeof crossing)[number]>;

/** There is a signal; it shows in the shared word where there is one, else it comes as a message. */
export type Abort = SharedArrayBuffer | true | undefined;

export type Request =
  | {
      readonly call: "load";
      /** The bytes, or what to read them from. */
      readonly source: Uint8Array | string | Blob;
      readonly options: RemoteOptions;
      readonly events: boolean;
      readonly progress: boolean;
    }
  | {
      readonly call: "run";
      readonly inputs: ModelInputs;
      readonly signature: string | undefined;
      readonly abort: Abort;
    }
  | {
      readonly call: "profile";
      readonly inputs: ModelInputs;
      readonly signature: string | undefined;
      readonly runs: number | undefined;
      readonly abort: Abort;
    }
  | { readonly call: "resize"; readonly shapes: Readonly<Record<string, readonly number[]>> }
  | { readonly call: "dispose" };

export interface Loaded {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly metadata: Metadata;
}

export type ToWorker =
  | ({ readonly minnow: number } & Request)
  | { readonly minnow: number; readonly call: "abort" };

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly op?: string;
  readonly tensor?: string;
  readonly hint?: string;
  readonly problems?: readonly Problem[];
  readonly stack?: string;
}

export type FromWorker =
  | {
      readonly minnow: number;
      readonly value: Loaded | ModelOutputs | ProfileData | null;
      readonly report?: ReportData;
    }
  | { readonly minnow: number; readonly error: WireError }
  | { readonly minnow: "event"; readonly event: ModelEvent }
  | { readonly minnow: "progress"; readonly progress: Progress };

export function packError(e: ModelError): WireError {
  const { code, message, op, tensor, hint, problems, stack } = e;
  return {
    code,
    message,
    ...(op !== undefined && { op }),
    ...(tensor !== undefined && { tensor }),
    ...(hint !== undefined && { hint }),
    ...(problems !== undefined && { problems }),
    ...(stack !== undefined && { stack }),
  };
}

export function unpackError({ message, code, hint, stack, ...details }: WireError): ModelError {
  const error = new ModelError(code, message, details); // the message has the hint in it already
  return Object.assign(error, { ...(hint !== undefined && { hint }), ...(stack !== undefined && { stack }) });
}

/** Posts and listens alike on both kinds of worker. */
export interface Channel {
  post(message: unknown, transfer: readonly Transferable[]): void;
  /** `failed` is told when the worker dies. */
  listen(message: (data: unknown) => void, failed: (reason: string) => void): void;
  /** Ends the worker; resolves when a thread is gone. */
  close(): Promise<void>;
}

const isThread = (t: Transport): t is NodePort => typeof (t as NodePort).on === "function" && isNode();

export function channelOf(t: Transport): Channel {
  if (isThread(t))
    return {
      post: (message, transfer) => t.postMessage(message, transfer),
      listen(message, failed) {
        t.on("message", message);
        t.on("error", (e) => failed(e instanceof Error ? e.message : String(e)));
        t.on("exit", (code) => failed(`it exited with ${code}`));
      },
      close: async () => void (await t.terminate?.()),
    };
  return {
    post: (message, transfer) => t.postMessage(message, [...transfer]),
    listen(message, failed) {
      t.addEventListener("message", (e) => message(e.data));
      t.addEventListener("error", (e) => failed(e.message || "its script could not be loaded"));
      t.addEventListener("messageerror", () => failed("a message could not be read"));
    },
    close: async () => t.terminate(),
  };
}
