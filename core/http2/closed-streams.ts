const REMEMBERED_MAX = 1000; // A client has heard of a reset long before it has opened so many streams more.

/** Streams that we have reset: what their client had under way is no fault of its. */
export class ClosedStreams {
  readonly #ids = new Set<number>();

  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }
}
