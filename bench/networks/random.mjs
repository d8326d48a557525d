// Seeded numbers, the same bits on every engine: integer steps, products and sums only, and no function
// whose last bit is an engine's own choice.

export class Random {
  #state;
  constructor(seed) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  }
  /** Uniform in [0, 1). */
  next() {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    this.#state = (s ^ (s << 5)) >>> 0;
    return this.#state / 2 ** 32;
  }
  /** n numbers of roughly normal distribution (three uniform ones added up). */
  normal(n, deviation, mean = 0) {
    const out = new Float32Array(n);
    for (let i = 0; i < n; i++)
      out[i] = mean + (this.next() + this.next() + this.next() - 1.5) * 2 * deviation;
    return out;
  }
  uniform(n, low, high) {
    return Float32Array.from({ length: n }, () => low + (high - low) * this.next());
  }
}
