// What a TFLite file says beyond arithmetic: signatures, and the "TFLITE_METADATA" buffer (a FlatBuffer
// of its own) with normalisation and the names of label files, which lie in a zip behind the model.
// None of it is needed to run, so damage here is passed over, not an error.
import { ModelError } from "../../error.js";
import type { Metadata } from "../../graph/graph.js";
import { FlatBuffer, type Table } from "../flatbuffer.js";
import { readStoredZip } from "../zip.js";
import type { Buffers } from "./buffers.js";
import * as schema from "./schema.js";

// Slots of TFLite's metadata schema.
const modelMetadata = { name: 0, description: 1, subgraphs: 3 };
const subgraphMetadata = { inputs: 2, outputs: 3 };
const tensorMetadata = { processUnits: 4, files: 6 };
const processUnit = { type: 0, options: 1, normalization: 1 };
const normalizationOptions = { mean: 0, std: 1 };
const associatedFile = { name: 0, type: 2, axisLabels: 2, valueLabels: 3 };
const maxLabels = 2 ** 20;

interface Names {
  inputs: readonly string[];
  outputs: readonly string[];
  tensor(index: number): string;
}

export function readMetadata(model: Table, buffers: Buffers, names: Names): Metadata {
  const meta: Metadata = { format: "tflite", layout: "NHWC" };
  const description = model.string(schema.model.description);
  if (description) meta.producer = description; // "MLIR Converted." and the like
  const signatures = readSignatures(model, names);
  if (signatures) meta.signatures = signatures;
  for (const entry of model.tables(schema.model.metadata)) {
    if (entry.string(schema.metadata.name) !== "TFLITE_METADATA") continue;
    try {
      const bytes = buffers.bytes(entry.num(schema.metadata.buffer, "u32"));
      if (bytes)
        readTensorMetadata(new FlatBuffer(bytes, "TFLite metadata").root(), buffers.file.bytes, names, meta);
    } catch (e) {
      if (!(e instanceof ModelError)) throw e;
    }
  }
  return meta;
}

function readSignatures(model: Table, names: Names): Metadata["signatures"] {
  const signatures = model.tables(schema.model.signatureDefs);
  if (signatures.length === 0) return undefined;
  const side = (t: Table, slot: number) =>
    Object.fromEntries(
      t
        .tables(slot)
        .map((m) => [
          m.string(schema.tensorMap.name) ?? "",
          names.tensor(m.num(schema.tensorMap.tensorIndex, "u32")),
        ]),
    );
  return Object.fromEntries(
    signatures
      .filter((t) => t.num(schema.signatureDef.subgraphIndex, "u32") === 0)
      .map((t) => [
        t.string(schema.signatureDef.key) ?? "",
        { inputs: side(t, schema.signatureDef.inputs), outputs: side(t, schema.signatureDef.outputs) },
      ]),
  );
}

function readTensorMetadata(root: Table, file: Uint8Array, names: Names, meta: Metadata): void {
  const description = root.string(modelMetadata.description) ?? root.string(modelMetadata.name);
  if (description) meta.description = description;
  const sub = root.tables(modelMetadata.subgraphs)[0];
  if (!sub) return;
  const normalization: NonNullable<Metadata["normalization"]> = {};
  sub.tables(subgraphMetadata.inputs).forEach((t, i) => {
    const found = readNormalization(t);
    const name = names.inputs[i];
    if (found && name !== undefined) normalization[name] = found;
  });
  if (Object.keys(normalization).length > 0) meta.normalization = normalization;
  const labels: NonNullable<Metadata["labels"]> = {};
  let archive: Map<string, Uint8Array> | undefined;
  sub.tables(subgraphMetadata.outputs).forEach((t, i) => {
    const name = names.outputs[i];
    const wanted = labelFile(t);
    if (name === undefined || wanted === undefined) return;
    archive ??= readStoredZip(file);
    const bytes = archive.get(wanted);
    if (bytes) labels[name] = readLabels(bytes);
  });
  if (Object.keys(labels).length > 0) meta.labels = labels;
}

function readNormalization(t: Table): { mean: number[]; std: number[] } | undefined {
  for (const unit of t.tables(tensorMetadata.processUnits)) {
    if (unit.num(processUnit.type, "u8") !== processUnit.normalization) continue;
    const options = unit.table(processUnit.options);
    const mean = options?.nums(normalizationOptions.mean, "f32");
    const std = options?.nums(normalizationOptions.std, "f32");
    if (mean?.length && std?.length) return { mean, std };
  }
  return undefined;
}

function labelFile(t: Table): string | undefined {
  const files = t.tables(tensorMetadata.files);
  const labels = files.find((f) =>
    [associatedFile.axisLabels, associatedFile.valueLabels].includes(f.num(associatedFile.type, "i8")),
  );
  return labels?.string(associatedFile.name);
}

/** One label a line; a last empty line is none. */
function readLabels(bytes: Uint8Array): string[] {
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/, maxLabels);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
