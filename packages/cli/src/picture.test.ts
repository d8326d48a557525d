// Decoders against files that Pillow 12 wrote (base64 below): a 5×3 picture whose pixel x, y is
// (50x, 100y, 30(x + y)), and a JPEG with red left and blue right.
import assert from "node:assert/strict";
import { test } from "node:test";
import { jpegOrientation } from "./exif.js";
import { decodePicture, pictureFormat } from "./picture.js";

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));
const files = {
  png:
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAIAAADUVFKvAAAAGklEQVR4nGNkYGAwYpCDIxaGFDkGBgRC5wMAVFQDPvj2L2oAAAAA" +
    "SUVORK5CYII=",
  png8:
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADBAMAAACpGNjLAAAALVBMVEXIyLSWyJZkyHjIZJaWZHhkZFoyyFoAyDwyZDwAZB7IAHiW" +
    "AFpkADwyAB4AAAD34mKWAAAAFUlEQVR4nGN8e+8qy+o9d1junb0PAC0UB3d4dFQlAAAAAElFTkSuQmCC",
  png16:
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADEAAAAAAuzUZnAAAAIElEQVR4nGNkYOBfILCAf4HAAhY/BX4FAQUBBX4kpgIAafYFoNEt" +
    "/U8AAAAASUVORK5CYII=",
  pnga:
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAYAAABbNsX4AAAAHUlEQVR4nGNkYGBoMGKQY0DGLAwpcgwMDKgYqyAAjhwDvtx0oNQA" +
    "AAAASUVORK5CYII=",
  bmp:
    "Qk1mAAAAAAAAADYAAAAoAAAABQAAAAMAAAABABgAAAAAADAAAADEDgAAxA4AAAAAAAAAAAAAPMgAWsgyeMhklsiWtMjIAB5kADxk" +
    "MlpkZHhklpZkyAAAAAAeADI8AGRaAJZ4AMgA",
  bmp8:
    "Qk2KAAAAAAAAAHIAAAAoAAAABQAAAAMAAAABAAgAAAAAABgAAADEDgAAxA4AAA8AAAAPAAAAtMjIAJbIlgB4yGQAlmTIAHhklgBa" +
    "ZGQAWsgyADzIAAA8ZDIAHmQAAHgAyABaAJYAPABkAB4AMgAAAAAABwYCAQAAAAAJCAUEAwAAAA4NDAsKAAAA",
  bmp32:
    "Qk1yAAAAAAAAADYAAAAoAAAABQAAAAMAAAABACAAAAAAADwAAADEDgAAxA4AAAAAAAAAAAAAPMgAgFrIMoB4yGSAlsiWgLTIyIAe" +
    "ZACAPGQygFpkZIB4ZJaAlmTIgAAAAIAeADKAPABkgFoAloB4AMiA",
  webp:
    "UklGRk4AAABXRUJQVlA4TEEAAAAvBIAAAHcgEEjyZxhoRIFAMlP+DDMRZNucpCT3BxnJ/IcWAODOcRynAgAAU5FsvPfwa2RRShaV" +
    "ZBEsov9R7fe5EwA=",
};
const jpeg = bytes(
  "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAIBAQEBAQIBAQECAgIC" +
    "AgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/2wBDAQICAgICAgUDAwUKBwYHCgoKCgoK" +
    "CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgr/wAARCAAIABADAREAAhEBAxEB/8QAHwAAAQUBAQEB" +
    "AQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAk" +
    "M2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKj" +
    "pKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAA" +
    "AAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl" +
    "8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmq" +
    "srO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwD876/nc/2QPmuv+hg/wvP/" +
    "2Q==",
);

const rgb = async (file: Uint8Array): Promise<{ size: number[]; pixels: number[] }> => {
  const { data, width, height, channels = 3 } = await decodePicture(file);
  const pixels = Array.from(
    { length: width * height * 3 },
    (_, i) => data[Math.floor(i / 3) * channels + (channels === 1 ? 0 : i % 3)] as number,
  );
  return { size: [width, height], pixels };
};
const want = Array.from({ length: 45 }, (_, i) => {
  const [x, y] = [Math.floor(i / 3) % 5, Math.floor(i / 15)];
  return [50 * x, 100 * y, 30 * (x + y)][i % 3] as number;
});

for (const name of ["png", "pnga", "png8", "bmp", "bmp8", "bmp32", "webp"] as const)
  test(`${name} is decoded to the pixel`, async () => {
    assert.deepEqual(await rgb(bytes(files[name])), { size: [5, 3], pixels: want });
  });

test("16-bit grey PNG becomes 8 bits", async () => {
  const { pixels } = await rgb(bytes(files.png16));
  assert.deepEqual(
    pixels,
    Array.from({ length: 45 }, (_, i) => Math.round((Math.floor(i / 3) * 4000 * 255) / 65535)),
  );
});

/** The same JPEG with another orientation written into its EXIF entry. */
function oriented(value: number): Uint8Array {
  const out = jpeg.slice();
  for (let i = 0; i + 10 < out.length; i++)
    if ((out[i] === 0x12 && out[i + 1] === 0x01) || (out[i] === 0x01 && out[i + 1] === 0x12)) {
      const little = out[i] === 0x12;
      out[i + (little ? 8 : 9)] = value;
      out[i + (little ? 9 : 8)] = 0;
      return out;
    }
  return assert.fail("no orientation entry");
}

test("EXIF orientation is read and applied", async () => {
  const at = async (orientation: number, x: number, y: number): Promise<string> => {
    const { data, width, channels = 4 } = await decodePicture(oriented(orientation));
    const p = (y * width + x) * channels;
    return (data[p] as number) > 100 ? "red" : (data[p + 2] as number) > 100 ? "blue" : "?";
  };
  assert.equal(jpegOrientation(jpeg), 6);
  // stored 16×8, red left, blue right
  const cases: [number, number, number, string, string, string][] = [
    [1, 16, 8, "red", "blue", "red"],
    [2, 16, 8, "blue", "red", "blue"],
    [3, 16, 8, "blue", "red", "blue"],
    [4, 16, 8, "red", "blue", "red"],
    [5, 8, 16, "red", "red", "blue"],
    [6, 8, 16, "red", "red", "blue"],
    [7, 8, 16, "blue", "blue", "red"],
    [8, 8, 16, "blue", "blue", "red"],
  ];
  for (const [orientation, width, height, topLeft, topRight, bottomLeft] of cases) {
    const p = await decodePicture(oriented(orientation));
    assert.deepEqual([p.width, p.height], [width, height], `orientation ${orientation}`);
    const corners = [
      await at(orientation, 0, 0),
      await at(orientation, width - 1, 0),
      await at(orientation, 0, height - 1),
    ];
    assert.deepEqual(corners, [topLeft, topRight, bottomLeft], `orientation ${orientation}`);
  }
});

test("broken files fail with an error, never hang", async () => {
  for (const file of [...Object.values(files).map(bytes), jpeg])
    for (let n = 0; n < file.length; n += 7) {
      const cut = file.slice(0, n);
      const flipped = file.slice();
      flipped[n] = (flipped[n] as number) ^ 0x55;
      for (const f of [cut, flipped])
        await decodePicture(f).catch((e: unknown) => assert.ok(e !== undefined));
    }
});

test("formats are told by content", () => {
  assert.deepEqual(
    Object.values(files).map((f) => pictureFormat(bytes(f))),
    ["png", "png", "png", "png", "bmp", "bmp", "bmp", "webp"],
  );
  assert.equal(pictureFormat(jpeg), "jpeg");
  assert.equal(pictureFormat(new TextEncoder().encode("hello there, no picture")), undefined);
});
