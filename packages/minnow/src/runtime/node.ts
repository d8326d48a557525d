// Node only, and the one place that reaches Node's built-in modules. Nothing here is imported
// statically: the specifiers are variables, so that bundlers for the browser leave them alone.
import { ModelError } from "../error.js";
import type { Pieces } from "./arriving.js";
import { breathEvery, macrotask } from "./queue.js";

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

interface FileSystem {
  openSync(path: string | URL): number;
  fstatSync(file: number): { size: number; isFile(): boolean };
  readSync(file: number, into: Uint8Array, at: number, bytes: number, from: null): number;
  closeSync(file: number): void;
}

const pieceBytes = 1 << 17;

/**
 * A file, in small pieces that are read at once: a promise each takes as long as reading it, and a thread's memory.
 * The event loop has its turns between them.
 * @throws ModelError io
 */
export async function openFile(path: string | URL): Promise<Pieces> {
  const fs = (await builtin("fs")) as FileSystem;
  const told = <T>(f: () => T): T => {
    try {
      return f();
    } catch (cause) {
      throw new ModelError("io", `cannot read ${path}: ${reason(cause)}`, { cause });
    }
  };
  const file = told(() => fs.openSync(path));
  const stat = fs.fstatSync(file);
  const total = stat.isFile() ? stat.size : 0;
  const buffer = new Uint8Array(pieceBytes);
  let [open, breathed] = [true, performance.now()];
  return {
    total,
    reuses: true,
    async read() {
      if (performance.now() - breathed > breathEvery) {
        await macrotask();
        breathed = performance.now();
      }
      const bytes = told(() => fs.readSync(file, buffer, 0, pieceBytes, null));
      return bytes > 0 ? buffer.subarray(0, bytes) : undefined;
    },
    close() {
      if (open) fs.closeSync(file);
      open = false;
    },
  };
}

const reasons: Readonly<Record<string, string>> = { ENOENT: "no such file", EISDIR: "it is a directory" };

function reason(cause: unknown): string {
  const { code } = cause as { code?: string };
  return code ? (reasons[code] ?? code) : String(cause);
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
