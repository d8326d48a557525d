// From whatever names a model to its bytes: path, URL, bytes, Blob or Response. A server's error page
// is told apart here, so that nobody has to debug an HTML page read as a model.
import { ModelError } from "../error.js";
import { Arriving, type Pieces, type ReadOptions, throwIfAborted } from "./arriving.js";
import { isNode, openFile } from "./node.js";
import type { ModelSource } from "./types.js";

/** Two letters at least before the colon: "C:\\model.onnx" is a path. */
const isUrl = (s: string): boolean => /^[a-z][a-z0-9+.-]+:/i.test(s);

/**
 * All bytes of a model.
 * @throws ModelError io (no such file, HTTP status, an HTML page), aborted, bad_option
 */
export async function readSource(source: ModelSource, options: ReadOptions = {}): Promise<Uint8Array> {
  const opened = await openSource(source, options);
  return opened instanceof Arriving ? opened.all() : opened;
}

/** The bytes, if they are there already, or what they come by. @throws ModelError as readSource */
export async function openSource(
  source: ModelSource,
  options: ReadOptions = {},
): Promise<Uint8Array | Arriving> {
  throwIfAborted(options.signal);
  const explain = (cause: unknown): ModelError =>
    cause instanceof ModelError
      ? cause
      : new ModelError("io", `cannot read ${describe(source)}: ${messageOf(cause)}`, { cause });
  try {
    const opened = bytesOf(source) ?? (await open(source, options));
    throwIfAborted(options.signal);
    if (!(opened instanceof Uint8Array)) return new Arriving(opened, options, explain);
    options.onProgress?.({ phase: "read", loaded: opened.length, total: opened.length });
    return opened;
  } catch (cause) {
    throwIfAborted(options.signal);
    throw explain(cause);
  }
}

function bytesOf(source: ModelSource): Uint8Array | undefined {
  if (source instanceof Uint8Array) return source;
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return isBuffer(source) ? new Uint8Array(source) : undefined;
}

/** Also from another realm. */
const isBuffer = (x: unknown): x is ArrayBuffer =>
  /^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(x));

function open(source: ModelSource, { signal }: ReadOptions): Promise<Pieces | Uint8Array> | Pieces {
  if (typeof source === "string" || source instanceof URL) return openNamed(source, signal);
  if (typeof Response !== "undefined" && source instanceof Response) return openResponse(source);
  if (typeof Blob !== "undefined" && source instanceof Blob) return piecesOf(source.stream(), source.size);
  throw new ModelError("bad_option", `cannot load from ${describe(source)}`, {
    hint: "give a path, a URL, bytes, a Blob or a Response",
  });
}

async function openNamed(
  source: string | URL,
  signal: AbortSignal | undefined,
): Promise<Pieces | Uint8Array> {
  const text = String(source);
  if (/^file:/i.test(text)) return openFile(new URL(text));
  if (!isUrl(text) && isNode()) return openFile(text);
  return openResponse(await fetch(text, { ...(signal && { signal }) }), text);
}

async function openResponse(response: Response, name = response.url): Promise<Pieces | Uint8Array> {
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
  const check = (bytes: Uint8Array): void => {
    if (isPage(bytes))
      throw new ModelError("io", `${name} is an HTML page (status ${status}), not a model`, {
        hint: "the server sends its own page where the file is missing",
      });
  };
  if (!response.body) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    check(bytes);
    return bytes;
  }
  const encoded = response.headers.get("content-encoding");
  const total = encoded ? 0 : Math.max(0, Number(response.headers.get("content-length") ?? 0));
  return { ...piecesOf(response.body, total), check };
}

/** What a worker can read by itself; undefined: its bytes are sent to it. */
export function forWorker(source: ModelSource): string | Blob | undefined {
  if (typeof Blob !== "undefined" && source instanceof Blob) return source;
  if (typeof source !== "string" && !(source instanceof URL)) return undefined;
  const text = String(source);
  if (isUrl(text) || isNode()) return text;
  const { document, location } = globalThis as {
    document?: { baseURI: string };
    location?: { href: string };
  };
  try {
    return new URL(text, document?.baseURI ?? location?.href).href; // a worker's base is its own file
  } catch {
    return undefined;
  }
}

function isPage(bytes: Uint8Array): boolean {
  const head = String.fromCharCode(...bytes.subarray(0, 64));
  return /^(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml)/i.test(head);
}

const pieceBytes = 1 << 18;

/**
 * A stream, piece by piece. Streams of bytes fill one buffer again and again: pieces of
 * their own would be as much garbage as the file is long.
 */
function piecesOf(stream: ReadableStream<Uint8Array>, total: number): Pieces {
  try {
    const reader = stream.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(pieceBytes);
    return {
      async read() {
        const { done, value } = await reader.read(new Uint8Array(buffer));
        if (value) buffer = value.buffer;
        return done ? undefined : value;
      },
      close: () => void reader.cancel().catch(() => {}),
      reuses: true,
      total,
    };
  } catch {
    const reader = stream.getReader(); // not a stream of bytes
    return {
      read: async () => (await reader.read()).value,
      close: () => void reader.cancel().catch(() => {}),
      reuses: false,
      total,
    };
  }
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
