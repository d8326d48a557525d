// Node only, and the one place that reaches Node's built-in modules. Nothing here is imported
// statically: the specifiers are variables, so that bundlers for the browser leave them alone.
import { ModelError } from "../error.js";
import { isMinnow, shrinkable } from "../graph/released.js";

interface ProcessLike {
  readonly versions?: { readonly node?: string };
  readonly type?: string;
}

/** Node, Bun or Deno; not an Electron renderer, not a bundler's `process` shim. */
export function isNode(): boolean {
  const p = (globalThis as { process?: ProcessLike }).process;
  return typeof p?.versions?.node === "string" && p.type !== "renderer";
}

const builtin = (name: string): Promise<unknown> => {
  const specifier = `node:${name}`;
  return import(/* @vite-ignore */ /* webpackIgnore: true */ specifier);
};

interface FileHandle {
  stat(): Promise<{ size: number; isFile(): boolean }>;
  read(into: Uint8Array, at: number, bytes: number, from: number): Promise<{ bytesRead: number }>;
  readFile(options: { signal?: AbortSignal }): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** @throws ModelError io */
export async function readFileBytes(path: string | URL, signal?: AbortSignal): Promise<Uint8Array> {
  const fs = (await builtin("fs/promises")) as { open(path: string | URL): Promise<FileHandle> };
  try {
    const file = await fs.open(path);
    try {
      return (await readMinnow(file, signal)) ?? (await file.readFile({ ...(signal && { signal }) }));
    } finally {
      await file.close();
    }
  } catch (cause) {
    const { code } = cause as { code?: string };
    const why =
      code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a directory" : (code ?? String(cause));
    throw new ModelError("io", `cannot read ${path}: ${why}`, { cause });
  }
}

const piece = 1 << 24;

/** A .minnow file, into bytes whose end can be given back; null for other files. */
async function readMinnow(file: FileHandle, signal: AbortSignal | undefined): Promise<Uint8Array | null> {
  const stat = await file.stat();
  const { size } = stat;
  const head = new Uint8Array(8);
  if (!stat.isFile() || (await file.read(head, 0, 8, 0)).bytesRead < 8 || !isMinnow(head)) return null;
  const bytes = shrinkable(size);
  for (let at = 0; at < size; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(bytes, at, Math.min(piece, size - at), at);
    if (bytesRead === 0) return bytes.subarray(0, at);
    at += bytesRead;
  }
  return bytes;
}

/** What worker_threads' Worker and parentPort have in common. */
export interface NodePort {
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
  on(event: string, listener: (value: unknown) => void): void;
  terminate?(): unknown;
}

/** Starts `file`, beside the package's entry points, as a worker thread. */
export async function startThread(file: string): Promise<NodePort> {
  const { Worker } = (await builtin("worker_threads")) as { Worker: new (url: URL) => NodePort };
  const here = import.meta.url; // apart from `new URL`, or bundlers would copy the file
  return new Worker(new URL(`../${file}`, here));
}

/** The port to the thread that started this one. */
export async function parentPort(): Promise<NodePort | null> {
  return ((await builtin("worker_threads")) as { parentPort: NodePort | null }).parentPort;
}
