import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  abortReason,
  delay,
  linkedAbort,
  throwIfAborted,
  throwIfOver,
  untilAborted,
} from '../../core/abort.ts';
import { cancelled, notFound, unavailable } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { rejection, thrown } from '../setup/rejection.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('linkedAbort', () => {
  test('follows its parent, with the very reason', () => {
    const parent = new AbortController();
    using abort = linkedAbort(parent.signal);
    const reason = unavailable('draining');
    expect(abort.signal.aborted).toBe(false);
    parent.abort(reason);
    expect(abort.signal.reason).toBe(reason);
  });

  test('is aborted from the start under an aborted parent', () => {
    const reason = unavailable('draining');
    using abort = linkedAbort(AbortSignal.abort(reason), { timeoutMs: 1000 });
    expect(abort.signal.reason).toBe(reason);
  });

  test('turns a foreign reason of the parent into CANCELLED', () => {
    const foreign = new Error('some library');
    using abort = linkedAbort(AbortSignal.abort(foreign));
    expect(abort.signal.reason).toMatchObject({
      code: Code.CANCELLED,
      message: 'the operation was cancelled',
      cause: foreign,
    });
  });

  test('does not abort its parent', () => {
    const parent = new AbortController();
    using abort = linkedAbort(parent.signal);
    abort.abort(notFound('mine alone'));
    expect(parent.signal.aborted).toBe(false);
  });

  test('aborts after its timeout with the error given', () => {
    const timeoutError = unavailable('too slow');
    using abort = linkedAbort(undefined, { timeoutMs: 100, timeoutError });
    vi.advanceTimersByTime(99);
    expect(abort.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(abort.signal.reason).toBe(timeoutError);
  });

  test('says DEADLINE_EXCEEDED after its timeout by default', () => {
    using abort = linkedAbort(undefined, { timeoutMs: 100 });
    vi.advanceTimersByTime(100);
    expect(abort.signal.reason).toMatchObject({
      code: Code.DEADLINE_EXCEEDED,
      message: 'not finished within 100 ms',
    });
  });

  test.for([0, -5])('a timeout of %d ms has passed already', (timeoutMs) => {
    using abort = linkedAbort(undefined, { timeoutMs });
    expect(abort.signal.reason).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  });

  test('waits out a timeout longer than setTimeout can', () => {
    const days = 86_400_000;
    using abort = linkedAbort(undefined, { timeoutMs: 60 * days });
    vi.advanceTimersByTime(60 * days - 1);
    expect(abort.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(abort.signal.aborted).toBe(true);
  });

  test('keeps the first of two reasons', () => {
    using abort = linkedAbort();
    const first = notFound('first');
    abort.abort(first);
    abort.abort(notFound('second'));
    expect(abort.signal.reason).toBe(first);
  });

  test('leaves no listener on its parent and no timer once disposed, and ends what still runs', () => {
    const parent = new AbortController();
    let signal: AbortSignal;
    {
      using abort = linkedAbort(parent.signal, { timeoutMs: 1000 });
      signal = abort.signal;
      expect([listeners(parent.signal), vi.getTimerCount()]).toEqual([1, 1]);
    }
    expect([listeners(parent.signal), vi.getTimerCount()]).toEqual([0, 0]);
    expect(signal.reason).toMatchObject({ code: Code.CANCELLED, message: 'the operation is over' });
  });
});

describe('throwIfOver', () => {
  test('throws the reason of a signal', () => {
    const reason = cancelled('enough');
    expect(thrown(() => throwIfOver({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(() => throwIfOver({ signal: new AbortController().signal })).not.toThrow();
    expect(() => throwIfOver({})).not.toThrow();
  });

  test('does not ask for a signal where there is another way to tell', () => {
    const reason = cancelled('enough');
    let over = false;
    const options = {
      get signal(): AbortSignal {
        throw new Error('asked for the signal');
      },
      throwIfAborted(): void {
        if (over) throw reason;
      },
    };
    expect(() => throwIfOver(options)).not.toThrow();
    over = true;
    expect(thrown(() => throwIfOver(options))).toBe(reason);
  });
});

describe('throwIfAborted and abortReason', () => {
  test('throw and give the reason', () => {
    const reason = notFound('gone');
    expect(thrown(() => throwIfAborted(AbortSignal.abort(reason)))).toBe(reason);
    expect(abortReason(AbortSignal.abort(reason))).toBe(reason);
    expect(abortReason(AbortSignal.abort())).toMatchObject({ code: Code.CANCELLED });
  });

  test('do nothing without an aborted signal', () => {
    expect(() => throwIfAborted(undefined)).not.toThrow();
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
  });
});

describe('untilAborted', () => {
  test('gives the outcome of the promise and leaves no listener', async () => {
    const { signal } = new AbortController();
    expect(await untilAborted(Promise.resolve(7), signal)).toBe(7);
    expect(await rejection(untilAborted(Promise.reject(notFound('x')), signal))).toMatchObject({
      message: 'x',
    });
    expect(listeners(signal)).toBe(0);
  });

  test('gives the reason as soon as the signal aborts; a rejection after that is dropped', async () => {
    const controller = new AbortController();
    const { promise, reject } = Promise.withResolvers<void>();
    const outcome = rejection(untilAborted(promise, controller.signal));
    const reason = notFound('enough');
    controller.abort(reason);
    expect(await outcome).toBe(reason);
    reject(new Error('late'));
    await Promise.resolve();
  });

  test('prefers the reason of a signal aborted before', async () => {
    const reason = notFound('enough');
    expect(await rejection(untilAborted(Promise.resolve(1), AbortSignal.abort(reason)))).toBe(reason);
  });
});

describe('delay', () => {
  test('waits', async () => {
    let over = false;
    const waiting = delay(50).then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(49);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await waiting;
    expect(over).toBe(true);
  });

  test('ends with the reason of its signal, and frees timer and listener', async () => {
    const controller = new AbortController();
    const waiting = rejection(delay(50_000, { signal: controller.signal }));
    const reason = notFound('enough');
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(listeners(controller.signal)).toBe(0);
  });

  test('does not begin under an aborted signal', async () => {
    const reason = notFound('enough');
    expect(await rejection(delay(50_000, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });
});
