import type { IngotError } from '../../core/error.ts';
import { startTimer } from '../../core/timer.ts';

/**
 * Watches that something moves: calls `onIdle` once when `moved` was not called for `idleMs`. Dispose of it at the end.
 */
export class IdleWatch implements Disposable {
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #movedMs = performance.now();
  #cancel: () => void;

  constructor(idleMs: number, onIdle: () => void) {
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    this.#cancel = startTimer(idleMs, () => this.#look());
  }

  moved(): void {
    this.#movedMs = performance.now();
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  #look(): void {
    const leftMs = this.#movedMs + this.#idleMs - performance.now();
    if (leftMs <= 0) this.#onIdle();
    else this.#cancel = startTimer(leftMs, () => this.#look());
  }
}

/** The stream, which throws `error()` when it keeps its reader waiting for `idleMs`; a slow reader does not count. */
export async function* idleLimited(
  source: AsyncIterable<Uint8Array>,
  { idleMs, error, onIdle }: { readonly idleMs: number; readonly error: () => IngotError; onIdle(): void },
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  let idle = false;
  try {
    for (;;) {
      const stalled = Promise.withResolvers<never>();
      const cancel = startTimer(idleMs, () => {
        idle = true;
        stalled.reject(error());
      });
      let next: IteratorResult<Uint8Array>;
      try {
        next = await Promise.race([iterator.next(), stalled.promise]);
      } finally {
        cancel();
      }
      if (next.done) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // A stalled source would keep `return` waiting too, so it is ended from outside.
    if (idle) onIdle();
    else if (!ended) await iterator.return?.();
  }
}
