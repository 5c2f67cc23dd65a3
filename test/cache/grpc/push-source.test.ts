import { describe, expect, it } from 'vitest';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import { cancelled } from '../../../core/error.ts';
import { ByteBudget } from '../../../core/rpc/rpc-byte-budget.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';

describe('PushSource', () => {
  it('gives what is pushed, in order, then ends', async () => {
    const source = new PushSource();
    source.push(Buffer.from('a'));
    source.push(Buffer.alloc(0));
    const reading = Array.fromAsync(source);
    await new Promise((done) => setImmediate(done));
    source.push(Buffer.from('b'));
    source.end();
    source.push(Buffer.from('late'));
    expect(Buffer.concat(await reading).toString()).toBe('ab');
  });

  it('fails after what was pushed before', async () => {
    const source = new PushSource();
    source.push(Buffer.from('a'));
    source.fail(cancelled('gone'));
    expect((await source.next()).value).toEqual(Buffer.from('a'));
    await expect(source.next()).rejects.toThrow('gone');
  });

  it('makes the writer wait until its reader has caught up, or left', async () => {
    const source = new PushSource();
    await source.drained();
    source.push(Buffer.alloc(40_000));
    await source.drained();
    source.push(Buffer.alloc(40_000));
    let waited = false;
    const drained = source.drained().then(() => {
      waited = true;
    });
    await new Promise((done) => setImmediate(done));
    expect(waited).toBe(false);
    await source.next();
    await drained;
    source.push(Buffer.alloc(100_000));
    const left = source.drained();
    await source.return();
    await left;
    source.push(Buffer.alloc(100_000));
    await source.drained();
    expect((await source.next()).done).toBe(true);
  });

  it('holds no more than its budget has, and gives it back as it is read or left', async () => {
    const budget = new ByteBudget(100);
    const source = new PushSource(budget);
    const other = new PushSource(budget);
    source.push(Buffer.alloc(60));
    expect(thrown(() => other.push(Buffer.alloc(50)))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'Buffer a request: calls hold 60 bytes of messages, the limit is 100',
    });
    await source.next();
    other.push(Buffer.alloc(100));
    await other.return();
    expect(budget.heldBytes).toBe(0);
  });

  it('stops waiting when its signal aborts', async () => {
    const source = new PushSource();
    source.push(Buffer.alloc(100_000));
    const controller = new AbortController();
    const drained = source.drained({ signal: controller.signal });
    controller.abort(cancelled('gone'));
    await expect(drained).rejects.toThrow('gone');
  });
});
