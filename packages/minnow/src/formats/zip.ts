// TFLite files carry label files in a zip archive appended to the model. Stored (uncompressed) entries
// are read, which is what TFLite's own tools write; the browser has no synchronous inflate, so
// compressed entries are left out: labels are a convenience, never needed to run.

const text = new TextDecoder();
const endSize = 22;
const centralSize = 46;
const maxEntries = 1024;

/** The stored entries of an archive at the end of `bytes`, by name; empty when there is none. */
export function readStoredZip(bytes: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = new Map<string, Uint8Array>();
  const end = findEnd(view);
  if (end < 0) return entries;
  const count = Math.min(view.getUint16(end + 10, true), maxEntries);
  const size = view.getUint32(end + 12, true);
  // Offsets may count from the archive's start instead of the file's.
  const base = end - size - view.getUint32(end + 16, true);
  let at = end - size;
  for (let i = 0; i < count; i++) {
    if (at < 0 || at + centralSize > end || view.getUint32(at, true) !== 0x02014b50) break;
    const method = view.getUint16(at + 10, true);
    const length = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const rest = view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    const local = base + view.getUint32(at + 42, true);
    const name = text.decode(bytes.subarray(at + centralSize, at + centralSize + nameLength));
    at += centralSize + nameLength + rest;
    if (method !== 0 || local < 0 || local + 30 > end) continue;
    const data = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (data + length <= end) entries.set(name, bytes.subarray(data, data + length));
  }
  return entries;
}

/** Where the end-of-directory record is, without or with a short comment behind it; −1 when nowhere. */
function findEnd(view: DataView): number {
  const first = Math.max(0, view.byteLength - endSize - 256);
  for (let at = view.byteLength - endSize; at >= first; at--)
    if (view.getUint32(at, true) === 0x06054b50) return at;
  return -1;
}
