// Outputs as they come from the process or page that made them: text of bytes, back to numbers.
const arrays = { Float32Array, Int8Array, Uint8Array, Int16Array, Int32Array, BigInt64Array };

/**
 * @param {{ type: string, base64: string }[]} outputs
 * @param {{ scale: number, zero: number }[]} [quantization] of each output; makes integers real numbers
 */
export function decode(outputs, quantization = []) {
  return outputs.map(({ type, base64 }, i) => {
    const bytes = new Uint8Array(Buffer.from(base64, "base64"));
    const values = Float64Array.from(new arrays[type](bytes.buffer), Number);
    const q = quantization[i];
    return q && type !== "Float32Array" ? values.map((v) => (v - q.zero) * q.scale) : values;
  });
}
