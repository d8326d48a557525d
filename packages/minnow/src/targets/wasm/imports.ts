// What every generated module imports, and how a module is told of another kind of memory than it was made for.
import { type ByteSink, byteSink } from "./bytes.js";

/** Limits of the imported memory, in 64 KiB pages; `shared` needs a maximum. */
export interface MemoryLimits {
  readonly shared?: boolean;
  readonly maximum?: number;
}

/** What every module imports; `scratch` is the address of the thread's own scratch. */
export const moduleImports = (memory: WebAssembly.Memory, scratch = 0) => ({
  env: {
    memory,
    scratch: new WebAssembly.Global({ value: "i32", mutable: true }, scratch),
    /** Kernels, for the driver. */
    table: new WebAssembly.Table({ element: "anyfunc", initial: 0 }),
  },
});

export function section(out: ByteSink, id: number, write: (s: ByteSink) => void): void {
  const s = byteSink();
  write(s);
  out.byte(id).u32(s.length).append(s);
}

export function writeLimits(s: ByteSink, { maximum, shared }: MemoryLimits): void {
  if (maximum === undefined) s.bytes(unlimited);
  else
    s.byte(shared ? 3 : 1)
      .u32(0)
      .u32(maximum);
}
const unlimited = [0, 0];

/** A module that is kept as text (what emits it is compared by a test): no emission at a start; compiled once. */
export function storedModule(base64: string): () => WebAssembly.Module {
  let module: WebAssembly.Module | undefined;
  return () => {
    module ??= new WebAssembly.Module(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
    return module;
  };
}

/** A module of `build()` with other limits of its memory, which its imports end with. */
export function withLimits(code: Uint8Array<ArrayBuffer>, memory?: MemoryLimits): Uint8Array<ArrayBuffer> {
  if (!memory) return code;
  let [at, start, end] = [8, 8, 8];
  do {
    at = end;
    let size = 0;
    start = at + 1;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = code[start++] as number;
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    end = start + size;
  } while (code[at] !== 2 && end < code.length);
  const out = byteSink().bytes(code.subarray(0, at));
  section(out, 2, (s) => writeLimits(s.bytes(code.subarray(start, end - unlimited.length)), memory));
  return out.bytes(code.subarray(end)).take();
}
