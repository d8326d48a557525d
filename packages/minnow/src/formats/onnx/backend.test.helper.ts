// What the tests against ONNX's own data need: where shared test data lies, and the cases in a tar archive.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** A path in shared/testdata, or undefined where the project stands alone. */
export function shared(path: string): string | undefined {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const found = join(dir, "shared/testdata", path);
    if (existsSync(found)) return found;
    if (dirname(dir) === dir) return undefined;
  }
}

/** Regular files of a .tar.gz by path (ustar: name 0…100, size 124, type 156, prefix 345; blocks of 512). */
export function readTarGz(path: string): Map<string, Uint8Array> {
  const tar = gunzipSync(readFileSync(path));
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number): string => {
    const end = tar.indexOf(0, from);
    return tar.toString("utf8", from, end >= from && end < from + length ? end : from + length);
  };
  let longName = "";
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12).trim() || "0", 8);
    const prefix = text(at + 257, 6) === "ustar" ? text(at + 345, 155) : "";
    const name = longName || `${prefix && `${prefix}/`}${text(at, 100)}`;
    const type = String.fromCharCode(tar[at + 156] ?? 0);
    longName = type === "L" ? text(at + 512, size) : ""; // GNU's way with names beyond 100
    if (type === "0" || type === "\0")
      files.set(name.replace(/^\.\//, ""), new Uint8Array(tar.subarray(at + 512, at + 512 + size)));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

export interface Case {
  readonly name: string;
  readonly model: Uint8Array;
  /** TensorProto bytes by data set, in order. */
  readonly sets: readonly {
    readonly inputs: readonly Uint8Array[];
    readonly outputs: readonly Uint8Array[];
  }[];
}

/** The ONNX backend cases of an archive: <group>/<case>/model.onnx and test_data_set_<n>/{input,output}_<i>.pb. */
export function readCases(path: string): Case[] {
  const files = readTarGz(path);
  const list = (prefix: string): Uint8Array[] => {
    const found: Uint8Array[] = [];
    for (let i = 0; ; i++) {
      const f = files.get(`${prefix}_${i}.pb`);
      if (!f) return found;
      found.push(f);
    }
  };
  return [...files].flatMap(([file, model]) => {
    if (!file.endsWith("/model.onnx")) return [];
    const dir = dirname(file);
    const sets = [];
    for (let i = 0; ; i++) {
      const set = `${dir}/test_data_set_${i}`;
      const outputs = list(`${set}/output`);
      if (outputs.length === 0) break;
      sets.push({ inputs: list(`${set}/input`), outputs });
    }
    return [{ name: dir, model, sets }];
  });
}
