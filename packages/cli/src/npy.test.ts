// .npy files that NumPy 2 wrote (base64): [[0, 1, 2], [3, 4, 5]] in several types.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readNpy, writeNpy } from "./npy.js";

const numpy: Record<string, string> = {
  "<f4":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEAAAEBAAACAQAAA" +
    "oEA=",
  "<f8":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAAAAAAAAAPA/AAAAAAAA" +
    "AEAAAAAAAAAIQAAAAAAAABBAAAAAAAAAFEA=",
  "|u1":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAQIDBAU=",
  "<i8":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGk4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAAEAAAAAAAAAAgAAAAAA" +
    "AAADAAAAAAAAAAQAAAAAAAAABQAAAAAAAAA=",
  "<f2":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGYyJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAA8AEAAQgBEAEU=",
  "|b1":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfGIxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAQEBAQE=",
  "<u2":
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPHUyJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAEAAgADAAQABQA=",
  scalar:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKCksIH0gICAgICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAOBA",
  fortran:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAABAQAAAgD8AAIBAAAAAQAAA" +
    "oEA=",
};
const file = (name: string): Uint8Array => new Uint8Array(Buffer.from(numpy[name] as string, "base64"));

test("NumPy's files are read", () => {
  for (const name of ["<f4", "<f8", "|u1", "<i8", "<f2", "<u2"]) {
    const { data, shape } = readNpy(file(name));
    assert.deepEqual(
      [shape, Array.from(data as ArrayLike<number>, Number)],
      [
        [2, 3],
        [0, 1, 2, 3, 4, 5],
      ],
      name,
    );
  }
  assert.deepEqual(Array.from(readNpy(file("|b1")).data as Uint8Array), [0, 1, 1, 1, 1, 1]);
  assert.deepEqual(readNpy(file("scalar")), { data: Float32Array.of(7), shape: [] });
});

test("what is written is NumPy's own file, byte for byte", () => {
  const shape = [2, 3];
  assert.deepEqual(
    Buffer.from(writeNpy({ data: Float32Array.of(0, 1, 2, 3, 4, 5), shape, dtype: "float32" })),
    Buffer.from(file("<f4")),
  );
  assert.deepEqual(
    Buffer.from(writeNpy({ data: Uint8Array.of(0, 1, 2, 3, 4, 5), shape, dtype: "uint8" })),
    Buffer.from(file("|u1")),
  );
  assert.deepEqual(
    Buffer.from(writeNpy({ data: BigInt64Array.of(0n, 1n, 2n, 3n, 4n, 5n), shape, dtype: "int64" })),
    Buffer.from(file("<i8")),
  );
});

test("what is not read says so", () => {
  assert.throws(() => readNpy(file("fortran")), /Fortran order/);
  assert.throws(() => readNpy(file("<f4").subarray(0, 140)), /cut off/);
  assert.throws(() => readNpy(new Uint8Array(20)), /not a .npy file/);
  assert.throws(() => writeNpy({ data: ["a"], shape: [1], dtype: "string" }), /no .npy form/);
});
