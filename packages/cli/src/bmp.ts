// BMP: uncompressed 8 (palette), 24 and 32 bits, bottom-up and top-down. What screenshots and test
// sets use; run-length coding is refused.
import type { Picture } from "minnow/image";

/** @throws Error when it is broken or of another kind */
export function decodeBmp(bytes: Uint8Array): Picture {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 54) throw new Error("the BMP file is cut off");
  const start = v.getUint32(10, true);
  const header = v.getUint32(14, true);
  if (header < 40) throw new Error("BMP headers of OS/2 are not read");
  const width = v.getInt32(18, true);
  const rows = v.getInt32(22, true);
  const bits = v.getUint16(28, true);
  const compression = v.getUint32(30, true);
  const plain = compression === 0 || (compression === 3 && bits === 32); // bit fields: the usual BGRA
  if (!plain || ![8, 24, 32].includes(bits))
    throw new Error(`BMP with ${bits} bits and compression ${compression} is not read; save it as PNG`);
  const height = Math.abs(rows);
  const pitch = Math.ceil((width * bits) / 32) * 4;
  if (width < 1 || height < 1 || start + pitch * height > bytes.length)
    throw new Error("the BMP file is cut off");
  const palette = 14 + header;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, p = 0; y < height; y++) {
    let at = start + pitch * (rows > 0 ? height - 1 - y : y);
    for (let x = 0; x < width; x++, at += bits / 8, p += 3) {
      const bgr = bits === 8 ? palette + 4 * (bytes[at] as number) : at;
      data[p] = bytes[bgr + 2] ?? 0;
      data[p + 1] = bytes[bgr + 1] ?? 0;
      data[p + 2] = bytes[bgr] ?? 0;
    }
  }
  return { data, width, height, channels: 3 };
}
