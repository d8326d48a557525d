// Real models that tests may read but the project does not hold: ../shared/testdata. Tests skip, and say
// so, where it is absent.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A path under shared/testdata, or undefined where the project stands alone. */
export function shared(path: string): string | undefined {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const found = join(dir, "shared/testdata", path);
    if (existsSync(found)) return found;
    if (dirname(dir) === dir) return undefined;
  }
}

/** What a test's options say when `path` is not there. */
export const needs = (path: string): { skip: string | false } => ({
  skip: shared(path) ? false : `shared/testdata/${path} is not here`,
});

/** Files under a shared folder whose name ends with `extension`; none where it is absent. */
export function sharedFiles(folder: string, extension: string): string[] {
  const root = shared(folder);
  if (!root) return [];
  const walk = (dir: string): string[] =>
    readdirSync(dir)
      .sort()
      .flatMap((name) => {
        const path = join(dir, name);
        return statSync(path).isDirectory() ? walk(path) : name.endsWith(extension) ? [path] : [];
      });
  return walk(root);
}

export const readBytes = (path: string): Uint8Array => {
  const b = readFileSync(path);
  return new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
};
