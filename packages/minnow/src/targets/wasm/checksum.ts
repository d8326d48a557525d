// The body of MurmurHash3_x86_32 (Appleby, 2011), against damage, not against forgery: of FNV over words, changes
// in two high bytes cancel now and then. By generated code, because a start computes it before anything is warm:
// 0.2 MB take script 6 ms then.
import { moduleImports, storedModule } from "./imports.js";

/** What checksum_code.ts emits (its test compares). */
export const checksumBase64 =
  "AGFzbQEAAAABCAFgA39/fwF/Ah4CA2VudgdzY3JhdGNoA38BA2VudgZtZW1vcnkCAAADAgEABwcBA3N1bQAACkkBRwACQCAA" +
  "IAFPDQADQCACIAAoAABB0dr45HxsQQ93QZPrnNwBbHNBDXdBBWxB5NbRsn5qIQIgAEEEaiEAIAAgAUkNAAsLIAIL";

const module = storedModule(checksumBase64);
const page = 65536;

/** Of the parts and their lengths, one after the other; zeros fill a part's last word. */
export function checksum(parts: readonly Uint8Array[]): number {
  const longest = Math.max(0, ...parts.map((p) => p.length));
  const memory = new WebAssembly.Memory({ initial: Math.ceil((longest + 8) / page) });
  const { exports } = new WebAssembly.Instance(module(), moduleImports(memory));
  const sum = exports.sum as (at: number, end: number, h: number) => number;
  const [bytes, words] = [new Uint8Array(memory.buffer), new DataView(memory.buffer)];
  let h = 0;
  for (const part of parts) {
    bytes.set(part);
    const end = Math.ceil(part.length / 4) * 4;
    bytes.fill(0, part.length, end);
    words.setUint32(end, part.length, true);
    h = sum(0, end + 4, h);
  }
  return h >>> 0;
}
