/** What has something to write at the end of a turn. */
export interface TurnWriter {
  flush(): void;
}

/**
 * Gathers the connections that have something to write, and lets each write once, at the end of this turn of the
 * event loop: all answers of a turn leave in one piece.
 */
export class WriteTurn {
  #writers: TurnWriter[] = [];
  #waiting = false;
  readonly #run = (): void => {
    const writers = this.#writers;
    this.#writers = [];
    this.#waiting = false;
    for (const writer of writers) writer.flush();
  };

  /** Each writer once a turn; it remembers that it has asked. */
  add(writer: TurnWriter): void {
    this.#writers.push(writer);
    if (this.#waiting) return;
    this.#waiting = true;
    setImmediate(this.#run);
  }
}
