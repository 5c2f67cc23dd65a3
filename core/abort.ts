import { cancelled, deadlineExceeded, type IngotError, isIngotError } from './error.ts';
import type { IoOptions } from './io-options.ts';
import { startTimer } from './timer.ts';

/** Made once: every upload and call ends with it, and the stack of an error costs what hashing 16 KiB does. */
const OVER = cancelled('the operation is over');

/** A controller of one operation; see {@link linkedAbort}. */
export interface LinkedAbort extends Disposable {
  readonly signal: AbortSignal;
  /** Aborts with this reason; the first one counts. */
  abort(reason: IngotError): void;
}

/** Options of {@link linkedAbort}. */
export interface LinkedAbortOptions {
  /** Aborts after this long; undefined means never. */
  readonly timeoutMs?: number | undefined;
  /** The reason after `timeoutMs`; default DEADLINE_EXCEEDED naming the time. */
  readonly timeoutError?: IngotError | undefined;
}

/**
 * An abort controller for one operation that also follows `parent` and a timeout. Hold it with `using`: disposing
 * detaches it from the parent (which may live as long as the process), and aborts what still runs on the signal.
 */
export function linkedAbort(parent?: AbortSignal, options: LinkedAbortOptions = {}): LinkedAbort {
  const controller = new AbortController();
  const { timeoutMs } = options;
  const follow = (): void => {
    if (parent !== undefined) controller.abort(abortReason(parent));
  };
  const expire = (): void =>
    controller.abort(options.timeoutError ?? deadlineExceeded(`not finished within ${timeoutMs} ms`));

  let cancelTimer: () => void = () => undefined;
  if (parent?.aborted) follow();
  else {
    parent?.addEventListener('abort', follow, { once: true });
    if (timeoutMs !== undefined) {
      if (timeoutMs <= 0) expire();
      else cancelTimer = startTimer(timeoutMs, expire);
    }
  }
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      parent?.removeEventListener('abort', follow);
      cancelTimer();
      controller.abort(OVER);
    },
  };
}

/** Why an aborted signal was aborted, always as an IngotError: a reason of another kind becomes CANCELLED. */
export function abortReason(signal: AbortSignal): IngotError {
  return isIngotError(signal.reason)
    ? signal.reason
    : cancelled('the operation was cancelled', { cause: signal.reason });
}

/** Throws the signal's reason when it is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}

/** The same for the signal of these options, which is not made for it. For work that is done before anyone could wait. */
export function throwIfOver(options: IoOptions): void {
  if (options.throwIfAborted === undefined) throwIfAborted(options.signal);
  else options.throwIfAborted();
}

/**
 * The promise's outcome, or the signal's reason as soon as it aborts. What the promise stands for goes on
 * unless it listens to the signal itself; a late rejection is dropped.
 */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(abortReason(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Waits this long; throws the signal's reason, and frees the timer, when it aborts first. */
export async function delay(ms: number, { signal }: IoOptions = {}): Promise<void> {
  throwIfAborted(signal);
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancelTimer = startTimer(ms, resolve);
  try {
    await untilAborted(promise, signal);
  } finally {
    cancelTimer();
  }
}
