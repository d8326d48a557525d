// Tensor names must be unique in a Graph; files have empty and repeated ones. A name that comes first
// keeps itself, later ones get a number.

export class UniqueNames {
  readonly #next = new Map<string, number>();

  /** `wanted` if nobody has it, else `wanted_1`, `wanted_2`, … */
  take(wanted: string): string {
    const n = this.#next.get(wanted);
    if (n === undefined) {
      this.#next.set(wanted, 1);
      return wanted;
    }
    let i = n;
    while (this.#next.has(`${wanted}_${i}`)) i++;
    this.#next.set(wanted, i + 1);
    this.#next.set(`${wanted}_${i}`, 1);
    return `${wanted}_${i}`;
  }
}
