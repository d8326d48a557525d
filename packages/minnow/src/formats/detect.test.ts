import assert from "node:assert/strict";
import { basename, extname } from "node:path";
import { test } from "node:test";
import { detectFormat } from "./detect.js";
import { needs, readBytes, sharedFiles } from "./testdata.test.helper.js";

const bytes = (...parts: (number | string)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((p) => (typeof p === "number" ? [p] : [...p].map((c) => c.charCodeAt(0)))));

test("marks and top-level fields", () => {
  assert.equal(detectFormat(bytes(28, 0, 0, 0, "TFL3")), "tflite");
  assert.equal(detectFormat(bytes(28, 0, 0, 0, "MNOW")), "minnow");
  assert.equal(detectFormat(bytes(28, 0, 0, 0, "MSL2")), "ms");
  // ir_version 8, producer "pytorch", graph of 2 bytes, opset_import
  assert.equal(detectFormat(bytes(8, 8, 0x12, 7, "pytorch", 0x3a, 2, 8, 0, 0x42, 2, 16, 13)), "onnx");
  // a graph that is cut short
  assert.equal(detectFormat(bytes(8, 8, 0x3a, 0xff, 0xff, 3, 10, 1)), "onnx");
  assert.equal(detectFormat(bytes(10, 5, "0.1.0", 0x3a, 1, 0)), "mindir");
  assert.equal(detectFormat(bytes(10, 3, "net", 0xa2, 6, 1, 0)), "caffemodel");
  assert.equal(detectFormat(bytes('name: "n"\nlayer {\n')), "prototxt");
});

test("other things", () => {
  for (const other of [
    bytes(),
    bytes(0),
    bytes("<!doctype html><html>"),
    bytes(0x89, "PNG"),
    bytes("PK", 3, 4),
    bytes('{"a": 1}'),
    new Uint8Array(100),
  ])
    assert.equal(detectFormat(other), undefined);
});

test("every model of the shared test data", needs("five-networks"), () => {
  // Schema v0 of .ms has no mark, and one .mindir is encrypted.
  const unmarked = ["mobilefacenet0924.ms", "retinaface0924.ms", "lenet_enc_ms200.mindir"];
  for (const extension of [".tflite", ".onnx", ".ms", ".mindir", ".caffemodel", ".prototxt"])
    for (const path of sharedFiles("", extension))
      assert.equal(
        detectFormat(readBytes(path)),
        unmarked.includes(basename(path)) ? undefined : extname(path).slice(1),
        path,
      );
});
