// Minimum s–t cut (Dinic's algorithm): the exact answer to "which nodes should take label 1" when costs
// are paid by pairs that differ. Graphs here have hundreds of nodes, so plain arrays do.

export class MinCut {
  readonly #to: number[] = [];
  readonly #room: number[] = [];
  readonly #edges: number[][] = [[], []];

  readonly source = 0;
  readonly sink = 1;

  vertex(): number {
    return this.#edges.push([]) - 1;
  }

  /** Paid when `a` ends on the source's side and `b` on the sink's. */
  edge(a: number, b: number, cost: number): void {
    (this.#edges[a] as number[]).push(this.#to.push(b) - 1);
    this.#room.push(cost);
    (this.#edges[b] as number[]).push(this.#to.push(a) - 1);
    this.#room.push(0);
  }

  /** Vertices on the source's side of a minimum cut: the smallest such set. */
  solve(): Set<number> {
    for (;;) {
      const level = this.#levels();
      if (level[this.sink] === -1) return reached(level);
      const next = new Int32Array(this.#edges.length);
      while (this.#augment(level, next));
    }
  }

  #levels(): Int32Array {
    const level = new Int32Array(this.#edges.length).fill(-1);
    level[this.source] = 0;
    const queue = [this.source];
    for (let head = 0; head < queue.length; head++) {
      const v = queue[head] as number;
      const list = this.#edges[v] as number[];
      for (let i = 0; i < list.length; i++) {
        const e = list[i] as number;
        const w = this.#to[e] as number;
        if ((this.#room[e] as number) > 0 && level[w] === -1) {
          level[w] = (level[v] as number) + 1;
          queue.push(w);
        }
      }
    }
    return level;
  }

  /** Pushes flow along one path of the level graph; walks without recursion, for long chains. */
  #augment(level: Int32Array, next: Int32Array): boolean {
    const path: number[] = [];
    let v = this.source;
    while (v !== this.sink) {
      const list = this.#edges[v] as number[];
      let i = next[v] as number;
      while (i < list.length) {
        const e = list[i] as number;
        if ((this.#room[e] as number) > 0 && level[this.#to[e] as number] === (level[v] as number) + 1) break;
        i++;
      }
      next[v] = i;
      if (i < list.length) {
        path.push(list[i] as number);
        v = this.#to[list[i] as number] as number;
        continue;
      }
      const back = path.pop();
      if (back === undefined) return false;
      v = this.#to[back ^ 1] as number;
      next[v] = (next[v] as number) + 1;
    }
    const flow = Math.min(...path.map((e) => this.#room[e] as number));
    for (const e of path) {
      this.#room[e] = (this.#room[e] as number) - flow;
      this.#room[e ^ 1] = (this.#room[e ^ 1] as number) + flow;
    }
    return true;
  }
}

function reached(level: Int32Array): Set<number> {
  const out = new Set<number>();
  for (let v = 0; v < level.length; v++) if ((level[v] as number) >= 0) out.add(v);
  return out;
}
