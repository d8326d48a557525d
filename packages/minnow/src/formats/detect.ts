// Tells model files apart by their content; names and MIME types are not asked. FlatBuffers carry a mark
// at byte 4. Protobufs carry none: their top-level field numbers and wire types differ by format.

export type Format = "tflite" | "onnx" | "minnow" | "ms" | "mindir" | "caffemodel" | "prototxt";

/** What the bytes seem to be; undefined when nothing known. Never throws. */
export function detectFormat(bytes: Uint8Array): Format | undefined {
  const mark = String.fromCharCode(...bytes.subarray(4, 8));
  if (mark === "TFL3") return "tflite";
  if (mark === "MNOW") return "minnow";
  if (/^MSL\d$/.test(mark)) return "ms";
  return isPrototxt(bytes) ? "prototxt" : detectProtobuf(bytes);
}

/** A Caffe network as text: printable, and it says `layer {` or `layers {`. */
function isPrototxt(bytes: Uint8Array): boolean {
  const head = bytes.subarray(0, 65536);
  if (head.subarray(0, 256).some((b) => b < 32 && b !== 9 && b !== 10 && b !== 13)) return false;
  return /(^|\s)(layers?|input_shape)\s*:?\s*\{/.test(new TextDecoder().decode(head));
}

const maxFields = 64;
const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;

function detectProtobuf(bytes: Uint8Array): Format | undefined {
  const fields = topLevelFields(bytes);
  const has = (field: number, wire: number) => fields.has(field * 8 + wire);
  // ONNX: 1 ir_version is a number, 7 graph, 8 opset_import. MindIR: 1 ir_version is text. Caffe: 1 name is
  // text, 100 layer (2 layers in the first version).
  if (has(100, lengthDelimited)) return "caffemodel";
  // MindIR of version 1.0 looks like ONNX but for its maker and the missing opset.
  const maker = new TextDecoder().decode(bytes.subarray(0, 32));
  if (has(1, varint) && !has(8, lengthDelimited) && maker.includes("MindSpore")) return "mindir";
  if (has(1, varint) && (has(7, lengthDelimited) || has(8, lengthDelimited))) return "onnx";
  if (has(7, lengthDelimited) && has(8, lengthDelimited) && !has(1, lengthDelimited)) return "onnx";
  if (has(1, lengthDelimited) && has(7, lengthDelimited)) return "mindir";
  if (has(1, lengthDelimited) && has(2, lengthDelimited) && !has(5, lengthDelimited)) return "caffemodel";
  return undefined;
}

/** Field number · 8 + wire type of the first top-level fields; none when it cannot be a protobuf. */
function topLevelFields(bytes: Uint8Array): Set<number> {
  const fields = new Set<number>();
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70 && at < bytes.length; shift += 7) {
      const b = bytes[at++] as number;
      value += (b & 127) * 2 ** shift;
      if (b < 128) return value;
    }
    return Number.NaN;
  };
  for (let i = 0; i < maxFields && at < bytes.length; i++) {
    const tag = number();
    if (!(tag >= 8 && tag < 2 ** 29)) return i === 0 ? new Set() : fields;
    fields.add(tag);
    const wire = tag & 7;
    if (wire === varint) number();
    else if (wire === fixed64) at += 8;
    else if (wire === fixed32) at += 4;
    else if (wire === lengthDelimited) {
      const length = number(); // moves `at` itself
      at += length;
    } else return new Set();
    if (!(at >= 0)) break;
  }
  return fields;
}
