// A growing byte array with WebAssembly's encodings (LEB128, little-endian floats, names).

export interface ByteSink {
  readonly length: number;
  byte(b: number): ByteSink;
  bytes(b: ArrayLike<number>): ByteSink;
  u32(n: number): ByteSink;
  s32(n: number): ByteSink;
  s64(n: bigint): ByteSink;
  f32(x: number): ByteSink;
  i32le(n: number): ByteSink;
  name(s: string): ByteSink;
  append(other: ByteSink): ByteSink;
  take(): Uint8Array<ArrayBuffer>;
}

const scratch = new DataView(new ArrayBuffer(4));

class Sink implements ByteSink {
  #data = new Uint8Array(256);
  length = 0;

  #room(n: number): void {
    if (this.length + n <= this.#data.length) return;
    const grown = new Uint8Array(Math.max(this.#data.length * 2, this.length + n));
    grown.set(this.#data.subarray(0, this.length));
    this.#data = grown;
  }
  byte(b: number): this {
    if (this.length === this.#data.length) this.#room(1);
    this.#data[this.length++] = b;
    return this;
  }
  bytes(b: ArrayLike<number>): this {
    this.#room(b.length);
    this.#data.set(b, this.length);
    this.length += b.length;
    return this;
  }
  u32(value: number): this {
    let n = value >>> 0;
    while (n > 127) {
      this.byte((n & 127) | 128);
      n >>>= 7;
    }
    return this.byte(n);
  }
  s32(value: number): this {
    let n = value;
    for (;;) {
      const b = n & 127;
      n >>= 7;
      if ((n === 0 && !(b & 64)) || (n === -1 && b & 64)) return this.byte(b);
      this.byte(b | 128);
    }
  }
  s64(value: bigint): this {
    let n = value;
    for (;;) {
      const b = Number(n & 127n);
      n >>= 7n;
      if ((n === 0n && !(b & 64)) || (n === -1n && b & 64)) return this.byte(b);
      this.byte(b | 128);
    }
  }
  f32(x: number): this {
    scratch.setFloat32(0, x, true);
    return this.#raw4();
  }
  i32le(n: number): this {
    scratch.setInt32(0, n, true);
    return this.#raw4();
  }
  #raw4(): this {
    for (let i = 0; i < 4; i++) this.byte(scratch.getUint8(i));
    return this;
  }
  name(s: string): this {
    const b = new TextEncoder().encode(s);
    return this.u32(b.length).bytes(b);
  }
  append(other: ByteSink): this {
    const o = other as Sink;
    return this.bytes(o.#data.subarray(0, o.length));
  }
  take(): Uint8Array<ArrayBuffer> {
    return this.#data.slice(0, this.length);
  }
}

export const byteSink = (): ByteSink => new Sink();
