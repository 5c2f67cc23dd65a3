import { type LinkedAbort, linkedAbort, untilAborted } from '../../core/abort.ts';
import { cancelled } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';

interface SharedTask {
  readonly done: Promise<void>;
  readonly abort: LinkedAbort;
  waiting: number;
}

/** Tasks by key, of which one at a time runs for all who want it. It is aborted when the last of them has gone. */
export class SharedTasks {
  readonly #tasks = new Map<string, SharedTask>();

  /** Joins the task under way, or begins it; resolves or rejects as it does. */
  async run(
    key: string,
    task: (signal: AbortSignal) => Promise<void>,
    { signal }: IoOptions = {},
  ): Promise<void> {
    const shared = this.#tasks.get(key) ?? this.#begin(key, task);
    shared.waiting += 1;
    try {
      await untilAborted(shared.done, signal);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) {
        this.#end(key, shared);
        shared.abort.abort(cancelled('nobody waits for it any more'));
      }
    }
  }

  #begin(key: string, task: (signal: AbortSignal) => Promise<void>): SharedTask {
    const abort = linkedAbort();
    const shared: SharedTask = { done: task(abort.signal), abort, waiting: 0 };
    this.#tasks.set(key, shared);
    return shared;
  }

  #end(key: string, shared: SharedTask): void {
    if (this.#tasks.get(key) === shared) this.#tasks.delete(key);
  }
}
