// Argument blocks by name: a kernel's code and its planner agree on the place of each word, so code that
// several kernels share finds its words at the same place.
import type { FunctionBuilder, Local } from "../assembler.js";
import type { ArgWord } from "../kernel.js";

/** An image under a window: strides in bytes, sizes of input and output. */
export const imageWords = ["xPitch", "xRow", "xImage", "h", "w", "oh", "ow"] as const;

/** Names → word numbers. Extend with `with` to append a kernel's own words after shared ones. */
export class Layout<N extends string> {
  constructor(readonly names: readonly N[]) {}

  with<M extends string>(names: readonly M[]): Layout<N | M> {
    return new Layout<N | M>([...this.names, ...names]);
  }
  /** Byte offset of a word in the block. */
  offset(name: N): number {
    const i = this.names.indexOf(name);
    if (i < 0) throw new RangeError(`no argument ${name}`);
    return 4 * i;
  }
  /** Pushes an argument; the one named "scratch" is an offset in the thread's own scratch. */
  push(f: FunctionBuilder, args: Local, name: N): FunctionBuilder {
    f.get(args).load(this.offset(name));
    return name === "scratch" ? f.scratch().op("i32.add") : f;
  }
  /** A new i32 local that holds an argument. */
  local(f: FunctionBuilder, args: Local, name: N): Local {
    const l = f.local("i32");
    this.push(f, args, name).set(l);
    return l;
  }
  words(values: Record<N, ArgWord | number>): ArgWord[] {
    return this.names.map((n) => word(values[n] ?? 0));
  }
}

export const word = (v: ArgWord | number): ArgWord => (typeof v === "number" ? { kind: "i32", value: v } : v);
