// A model that lives in a worker, seen from the page: the same interface, each call a message. Inputs
// are copied unless `transfer` is asked for; outputs are always handed over, never copied.
import type { Metadata } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { emitter } from "./events.js";
import { makeProfile, type Profile, type ProfileData } from "./profile.js";
import {
  channelOf,
  type Channel,
  crossing,
  type FromWorker,
  type Loaded,
  type RemoteOptions,
  type Request,
  type Transport,
  unpackError,
} from "./protocol.js";
import { makeReport, type Report, type ReportData } from "./report.js";
import { checkInto } from "./slot.js";
import { canShare } from "./sharing.js";
import { throwIfAborted } from "./arriving.js";
import { forWorker, readSource } from "./source.js";
import type {
  InputValue,
  LoadOptions,
  Model,
  ModelInputs,
  ModelOutputs,
  ModelSource,
  ProfileOptions,
  RunOptions,
  TensorData,
  TensorSpec,
  TensorValue,
} from "./types.js";
import { isValue } from "./values.js";

interface Pending {
  resolve(answer: { value: unknown }): void;
  reject(e: ModelError): void;
}

/** Requests by id, and the worker's end. */
class Connection {
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #dead: string | null = null;
  report: ReportData | null = null;

  constructor(
    private readonly channel: Channel,
    options: LoadOptions,
  ) {
    const emit = emitter(options.onEvent);
    channel.listen(
      (data) => {
        const message = data as FromWorker;
        if (message?.minnow === "event") emit?.(message.event);
        else if (message?.minnow === "progress") options.onProgress?.(message.progress);
        else if (typeof message?.minnow === "number") this.#answer(message);
      },
      (reason) => this.#fail(reason),
    );
  }

  request(
    request: Request,
    transfer: readonly Transferable[] = [],
    signal?: AbortSignal,
  ): Promise<{ value: unknown }> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== null) return reject(new ModelError("disposed", this.#dead));
      throwIfAborted(signal);
      const minnow = this.#next++;
      const abort = (): void => {
        this.#pending.delete(minnow);
        this.channel.post({ minnow, call: "abort" }, []);
        reject(new ModelError("aborted", "the call was aborted", { cause: signal?.reason }));
      };
      signal?.addEventListener("abort", abort, { once: true });
      const settled =
        <A extends unknown[]>(f: (...a: A) => void) =>
        (...a: A): void => {
          signal?.removeEventListener("abort", abort);
          f(...a);
        };
      this.#pending.set(minnow, { resolve: settled(resolve), reject: settled(reject) });
      this.channel.post({ minnow, ...request }, transfer);
    });
  }

  async end(reason: string): Promise<void> {
    if (this.#dead !== null) return;
    this.#dead = reason;
    for (const p of this.#pending.values()) p.reject(new ModelError("disposed", reason));
    this.#pending.clear();
    await this.channel.close();
  }

  #fail(reason: string): void {
    if (this.#dead !== null) return;
    this.#dead = `the model's worker failed: ${reason}`;
    for (const p of this.#pending.values()) p.reject(new ModelError("internal", this.#dead));
    this.#pending.clear();
    void this.channel.close();
  }

  #answer(message: Exclude<FromWorker, { minnow: "event" | "progress" }>): void {
    if ("report" in message && message.report) this.report = message.report;
    const p = this.#pending.get(message.minnow);
    if (!p) return; // aborted in the meantime
    this.#pending.delete(message.minnow);
    if ("error" in message) p.reject(unpackError(message.error));
    else p.resolve(message);
  }
}

/** Lets the worker read the model, or sends its bytes over: copied where they are the caller's. */
export async function loadRemote(
  transport: Transport,
  source: ModelSource,
  options: LoadOptions,
): Promise<Model> {
  const connection = new Connection(channelOf(transport), options);
  const { signal, onProgress, onEvent } = options;
  const load = async (source: Uint8Array | string | Blob): Promise<Model> => {
    const { value } = await connection.request(
      {
        call: "load",
        source,
        options: crossed(options),
        events: onEvent !== undefined,
        progress: onProgress !== undefined,
      },
      source instanceof Uint8Array ? [source.buffer as ArrayBuffer] : [],
      signal,
    );
    return new RemoteModel(connection, value as Loaded);
  };
  const send = async (): Promise<Model> =>
    load(ownBytes(source, await readSource(source, { signal, onProgress })));
  try {
    const there = forWorker(source);
    if (there === undefined) return await send();
    return await load(there).catch((e: ModelError) => {
      if (e.code !== "io") throw e;
      return send(); // a page may fetch what its workers may not
    });
  } catch (e) {
    await connection.end("the model was not loaded");
    throw e;
  }
}

const crossed = (options: LoadOptions): RemoteOptions =>
  Object.fromEntries(
    crossing.flatMap((name) => (options[name] === undefined ? [] : [[name, plain(options[name])]])),
  );

/** Copies: proxies do not cross. */
function plain(v: unknown): unknown {
  if (Array.isArray(v)) return v.map(plain);
  if (v === null || typeof v !== "object") return v;
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
}

/** Bytes that may be handed over. */
function ownBytes(source: ModelSource, bytes: Uint8Array): Uint8Array {
  const callers =
    source instanceof ArrayBuffer || ArrayBuffer.isView(source) || (bytes.buffer as unknown) === source;
  const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return whole && !callers ? bytes : bytes.slice();
}

class RemoteModel implements Model {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly metadata: Metadata;
  #closing: Promise<void> | null = null;

  constructor(
    private readonly connection: Connection,
    loaded: Loaded,
  ) {
    this.inputs = loaded.inputs;
    this.outputs = loaded.outputs;
    this.metadata = loaded.metadata;
  }

  async run(inputs: ModelInputs, options: RunOptions = {}): Promise<ModelOutputs> {
    const { signal, signature, into, transfer = false } = options;
    this.#check();
    const [sent, buffers] = outbound(inputs, transfer);
    const { value } = await this.connection.request(
      { call: "run", inputs: sent, signature, abort: signal && flagOf(signal) },
      buffers,
      signal,
    );
    const record: ModelOutputs = Object.assign(Object.create(null), value);
    if (into) for (const [name, array] of Object.entries(into)) fill(record, name, array);
    return record;
  }

  async profile(inputs: ModelInputs, options: ProfileOptions = {}): Promise<Profile> {
    const { signal, signature, runs, transfer = false } = options;
    this.#check();
    const [sent, buffers] = outbound(inputs, transfer);
    const abort = signal && flagOf(signal);
    const request = { call: "profile", inputs: sent, signature, runs, abort } as const;
    const { value } = await this.connection.request(request, buffers, signal);
    return makeProfile(value as ProfileData);
  }

  async resize(shapes: Readonly<Record<string, readonly number[]>>): Promise<void> {
    this.#check();
    await this.connection.request({ call: "resize", shapes });
  }

  report(): Report {
    this.#check();
    return makeReport(this.connection.report as ReportData);
  }

  dispose(): Promise<void> {
    this.#closing ??= this.connection.request({ call: "dispose" }).then(
      () => this.connection.end("the model has been disposed"),
      () => this.connection.end("the model has been disposed"),
    );
    return this.#closing;
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #check(): void {
    if (this.#closing) throw new ModelError("disposed", "the model has been disposed");
  }
}

/** A word that turns 1 with the signal, for a worker that is too busy to get messages; true: no shared memory. */
function flagOf(signal: AbortSignal): SharedArrayBuffer | true {
  if (!canShare().memory) return true;
  const flag = new SharedArrayBuffer(4);
  signal.addEventListener("abort", () => Atomics.store(new Int32Array(flag), 0, 1), { once: true });
  return flag;
}

/** Inputs as they are sent, and the buffers that go with them. */
function outbound(inputs: ModelInputs, transfer: boolean): [ModelInputs, Transferable[]] {
  const buffers = new Set<ArrayBuffer>();
  const one = (v: unknown): unknown => {
    if (v && typeof v === "object" && "data" in v && isValue((v as { data: unknown }).data))
      return { ...v, data: one((v as { data: unknown }).data) };
    if (!ArrayBuffer.isView(v)) return v;
    const typed = v as Uint8Array<ArrayBufferLike>;
    const sent = transfer || !(typed.buffer instanceof ArrayBuffer) ? typed : typed.slice();
    if (sent.buffer instanceof ArrayBuffer) buffers.add(sent.buffer);
    return sent;
  };
  const single = isValue(inputs) || inputs === null || typeof inputs !== "object";
  const sent = single
    ? one(inputs)
    : Object.fromEntries(
        Object.entries(inputs as Record<string, InputValue>).map(([k, v]) => [k, sendable(k, v, one)]),
      );
  return [sent as ModelInputs, [...buffers]];
}

/** What cannot be posted (functions, symbols) is told here, not by a DataCloneError. */
function sendable(name: string, v: unknown, one: (v: unknown) => unknown): unknown {
  if (typeof v === "function" || typeof v === "symbol")
    throw new ModelError("bad_input", `input ${JSON.stringify(name)} is a ${typeof v}`, { tensor: name });
  return one(v);
}

function fill(record: ModelOutputs, name: string, array: TensorData): void {
  const got = record[name];
  if (!got)
    throw new ModelError("bad_input", `into: unknown output ${JSON.stringify(name)}`, {
      hint: `known: ${Object.keys(record).join(", ")}`,
    });
  checkInto(name, array, got.data, got.data.length);
  if (Array.isArray(array))
    for (let i = 0; i < array.length; i++) array[i] = (got.data as string[])[i] as string;
  else (array as Uint8Array).set(got.data as Uint8Array);
  record[name] = { ...got, data: array } satisfies TensorValue;
}
