// From whatever names a model to its bytes: path, URL, bytes, Blob or Response. A server's error page
// is told apart here, so that nobody has to debug an HTML page read as a model.
import { ModelError } from "../error.js";
import { growable, isMinnow, shrinkable } from "../graph/released.js";
import { isNode, readFileBytes } from "./node.js";
import type { ModelSource, Progress } from "./types.js";

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Told the first bytes of a stream, while the others are under way. */
  onHead?: ((head: Uint8Array) => void) | undefined;
}

/** Two letters at least before the colon: "C:\model.onnx" is a path. */
const isUrl = (s: string): boolean => /^[a-z][a-z0-9+.-]+:/i.test(s);

/**
 * @throws ModelError io (no such file, HTTP status, an HTML page), aborted, bad_option
 */
export async function readSource(source: ModelSource, options: ReadOptions = {}): Promise<Uint8Array> {
  throwIfAborted(options.signal);
  try {
    const bytes = await read(source, options);
    throwIfAborted(options.signal);
    options.onProgress?.({ phase: "read", loaded: bytes.length, total: bytes.length });
    return bytes;
  } catch (cause) {
    throwIfAborted(options.signal);
    if (cause instanceof ModelError) throw cause;
    throw new ModelError("io", `cannot read ${describe(source)}: ${messageOf(cause)}`, { cause });
  }
}

function read(source: ModelSource, options: ReadOptions): Promise<Uint8Array> | Uint8Array {
  if (source instanceof Uint8Array) return source;
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (isBuffer(source)) return new Uint8Array(source);
  if (typeof source === "string" || source instanceof URL) return readNamed(source, options);
  if (typeof Response !== "undefined" && source instanceof Response) return readResponse(source, options);
  if (typeof Blob !== "undefined" && source instanceof Blob)
    return pump(source.stream(), source.size, options);
  throw new ModelError("bad_option", `cannot load from ${describe(source)}`, {
    hint: "give a path, a URL, bytes, a Blob or a Response",
  });
}

/** Also from another realm. */
const isBuffer = (x: unknown): x is ArrayBuffer =>
  /^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(x));

async function readNamed(source: string | URL, options: ReadOptions): Promise<Uint8Array> {
  const text = String(source);
  if (/^file:/i.test(text)) return readFileBytes(new URL(text), options.signal);
  if (!isUrl(text) && isNode()) return readFileBytes(text, options.signal);
  return readResponse(
    await fetch(text, { ...(options.signal && { signal: options.signal }) }),
    options,
    text,
  );
}

async function readResponse(
  response: Response,
  options: ReadOptions,
  name = response.url,
): Promise<Uint8Array> {
  const { status } = response;
  if (!response.ok)
    throw new ModelError(
      "io",
      `cannot read ${name}: the server answered ${`${status} ${response.statusText}`.trim()}`,
      {
        hint: status === 404 ? "is the file where the page can fetch it?" : "",
      },
    );
  if (response.bodyUsed)
    throw new ModelError("io", "the body of the Response has been read already", {
      hint: "give response.clone()",
    });
  const encoded = response.headers.get("content-encoding");
  const total = encoded ? 0 : Number(response.headers.get("content-length") ?? 0);
  const bytes = response.body
    ? await pump(response.body, total, options)
    : new Uint8Array(await response.arrayBuffer());
  if (isPage(bytes))
    throw new ModelError("io", `${name} is an HTML page (status ${status}), not a model`, {
      hint: "the server sends its own page where the file is missing",
    });
  return bytes;
}

function isPage(bytes: Uint8Array): boolean {
  const head = String.fromCharCode(...bytes.subarray(0, 64));
  return /^(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml)/i.test(head);
}

/** Reads a stream; `total` (0 = unknown) is only a promise of the sender. */
async function pump(
  stream: ReadableStream<Uint8Array>,
  total: number,
  options: ReadOptions,
): Promise<Uint8Array> {
  const { read, cancel, reuses } = readerOf(stream);
  const received = new Received(total, reuses);
  try {
    for (;;) {
      throwIfAborted(options.signal);
      const value = await read();
      if (!value) break;
      if (received.loaded === 0) options.onHead?.(value);
      received.add(value);
      options.onProgress?.({ phase: "read", loaded: received.loaded, total: Math.max(total, 0) });
    }
  } catch (e) {
    cancel().catch(() => {});
    throw e;
  }
  return received.bytes();
}

const maxTrusted = 2 ** 31; // a length that is believed before the bytes have come
const maxGrown = 2 ** 28; // addresses that are reserved where it is not known

/** What has come of a file: in one buffer where its length is known, or where a buffer can grow in place. */
class Received {
  loaded = 0;
  #whole: Uint8Array | undefined;
  #grows: ReturnType<typeof growable>;
  readonly #chunks: Uint8Array[] = [];

  constructor(
    private readonly total: number,
    /** Chunks are good until the next one only. */
    private readonly reuses: boolean,
  ) {}

  add(chunk: Uint8Array): void {
    if (this.loaded === 0) this.#begin(chunk);
    const end = this.loaded + chunk.length;
    const grows = this.#grows;
    if (grows && end > grows.byteLength && end <= maxGrown) grows.resize(Math.min(maxGrown, 2 * end));
    if (this.#whole && end > this.#whole.length) {
      this.#chunks.push(this.#whole.subarray(0, this.loaded));
      this.#whole = undefined;
    }
    if (this.#whole) this.#whole.set(chunk, this.loaded);
    else this.#chunks.push(this.reuses ? chunk.slice() : chunk);
    this.loaded = end;
  }

  #begin(head: Uint8Array): void {
    const { total } = this;
    if (total > 0 && total <= maxTrusted) this.#whole = bytesFor(total, head);
    else if (isMinnow(head)) {
      this.#grows = growable(maxGrown);
      if (this.#grows) this.#whole = new Uint8Array(this.#grows);
    }
  }

  bytes(): Uint8Array {
    const { loaded } = this;
    if (this.#whole) {
      this.#grows?.resize(loaded);
      return new Uint8Array(this.#whole.buffer, 0, loaded);
    }
    const out = bytesFor(loaded, this.#chunks[0]);
    let at = 0;
    for (const c of this.#chunks) {
      out.set(c, at);
      at += c.length;
    }
    return out;
  }
}

const chunkBytes = 1 << 18;

/**
 * Reads a stream piece by piece. Streams of bytes fill one buffer again and again: chunks of
 * their own would be as much garbage as the file is long.
 */
function readerOf(stream: ReadableStream<Uint8Array>): {
  read(): Promise<Uint8Array | undefined>;
  cancel(): Promise<void>;
  /** Bytes are good until the next call only. */
  reuses: boolean;
} {
  try {
    const reader = stream.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(chunkBytes);
    return {
      async read() {
        const { done, value } = await reader.read(new Uint8Array(buffer));
        if (value) buffer = value.buffer;
        return done ? undefined : value;
      },
      cancel: () => reader.cancel(),
      reuses: true,
    };
  } catch {
    const reader = stream.getReader(); // not a stream of bytes
    return { read: async () => (await reader.read()).value, cancel: () => reader.cancel(), reuses: false };
  }
}

/** Weights of .minnow files can be given back while they are packed; other readers want plain buffers. */
const bytesFor = (n: number, head?: Uint8Array): Uint8Array =>
  head && isMinnow(head) ? shrinkable(n) : new Uint8Array(n);

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ModelError("aborted", "the call was aborted", { cause: signal.reason });
}

/** fetch hides why it failed in `cause`. */
function messageOf(e: unknown): string {
  if (!(e instanceof Error)) return String(e);
  return e.cause instanceof Error && e.cause.message ? `${e.message}: ${e.cause.message}` : e.message;
}

function describe(source: unknown): string {
  if (typeof source === "string" || source instanceof URL) return String(source);
  if (source === null || typeof source !== "object") return String(source);
  return source.constructor?.name ?? "an object";
}
