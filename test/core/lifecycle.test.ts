import { describe, expect, test } from 'vitest';
import { unavailable } from '../../core/error.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../setup/recording-logger.ts';

function setUp() {
  const logger = recordingLogger();
  return { logger, lifecycle: new Lifecycle({ logger }), order: [] as string[] };
}

describe('Lifecycle', () => {
  test('closes in reverse order, one after the other', async () => {
    const { lifecycle, order } = setUp();
    for (const name of ['store', 'server', 'intake']) {
      lifecycle.defer(name, async () => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
      });
    }
    await lifecycle.shutdown({ deadlineMs: 1000 });
    expect(order).toEqual([
      'intake begins',
      'intake ends',
      'server begins',
      'server ends',
      'store begins',
      'store ends',
    ]);
  });

  test('use registers a disposable and returns it', async () => {
    const { lifecycle, order } = setUp();
    const resource = {
      async [Symbol.asyncDispose](): Promise<void> {
        order.push('disposed');
      },
    };
    expect(lifecycle.use('resource', resource)).toBe(resource);
    await lifecycle.shutdown({ deadlineMs: 1000 });
    expect(order).toEqual(['disposed']);
  });

  test('a step that fails, also by a plain throw, is logged and the others still run', async () => {
    const { lifecycle, logger, order } = setUp();
    const rejected = unavailable('gone');
    const thrown = new Error('bug');
    lifecycle.defer('first', () => void order.push('first'));
    lifecycle.defer('rejecting', () => Promise.reject(rejected));
    lifecycle.defer('throwing', () => {
      throw thrown;
    });
    await lifecycle.shutdown({ deadlineMs: 1000 });
    expect(order).toEqual(['first']);
    expect(logger.at('error')).toEqual([
      { level: 'error', message: 'could not close', fields: { step: 'throwing', error: thrown } },
      { level: 'error', message: 'could not close', fields: { step: 'rejecting', error: rejected } },
    ]);
  });

  test('a step that hangs is left at the deadline, and those after it still get their moment', async () => {
    const { lifecycle, logger, order } = setUp();
    lifecycle.defer('quick', () => void order.push('quick'));
    lifecycle.defer('brief', async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push('brief');
    });
    lifecycle.defer('stuck', () => new Promise(() => undefined));
    const startMs = performance.now();
    await lifecycle.shutdown({ deadlineMs: 300 });
    expect(performance.now() - startMs).toBeLessThan(900);
    expect(order).toEqual(['brief', 'quick']);
    expect(logger.at('error')).toMatchObject([
      {
        fields: {
          step: 'stuck',
          error: { code: Code.DEADLINE_EXCEEDED, message: 'stuck did not close within 300 ms' },
        },
      },
    ]);
  });

  test('a second shutdown waits for the first and closes nothing twice', async () => {
    const { lifecycle, order } = setUp();
    lifecycle.defer('once', () => void order.push('once'));
    await Promise.all([lifecycle.shutdown({ deadlineMs: 1000 }), lifecycle.shutdown({ deadlineMs: 1 })]);
    await lifecycle.shutdown({ deadlineMs: 1000 });
    expect(order).toEqual(['once']);
  });

  test('what is opened while or after closing is closed too', async () => {
    const { lifecycle, order } = setUp();
    lifecycle.defer('outer', () => {
      order.push('outer');
      lifecycle.defer('opened late', () => void order.push('opened late'));
    });
    await lifecycle.shutdown({ deadlineMs: 1000 });
    lifecycle.defer('opened after', () => void order.push('opened after'));
    expect(order).toEqual(['outer', 'opened late', 'opened after']);
  });
});
