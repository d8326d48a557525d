// Outputs as they come from the process or page that made them: text of bytes, back to numbers.
const arrays = { Float32Array, Int8Array, Uint8Array, Int32Array, BigInt64Array };

/** @param {{ type: string, base64: string }[]} outputs */
export function decode(outputs) {
  return outputs.map(({ type, base64 }) => {
    const bytes = new Uint8Array(Buffer.from(base64, "base64"));
    return Float64Array.from(new arrays[type](bytes.buffer), Number);
  });
}
