// A small cache that forgets what was used longest ago: plans by input shapes.

export class Lru<V> {
  readonly #entries = new Map<string, V>();

  constructor(
    readonly capacity: number,
    private readonly dropped: (value: V) => void = () => {},
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    for (const [oldest, old] of this.#entries) {
      if (this.#entries.size <= this.capacity) break;
      this.#entries.delete(oldest);
      this.dropped(old);
    }
  }

  values(): IterableIterator<V> {
    return this.#entries.values();
  }

  clear(): void {
    for (const v of this.#entries.values()) this.dropped(v);
    this.#entries.clear();
  }
}
