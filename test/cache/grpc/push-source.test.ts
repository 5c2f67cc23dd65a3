import { describe, expect, it } from 'vitest';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import { cancelled } from '../../../core/error.ts';

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

  it('stops waiting when its signal aborts', async () => {
    const source = new PushSource();
    source.push(Buffer.alloc(100_000));
    const controller = new AbortController();
    const drained = source.drained({ signal: controller.signal });
    controller.abort(cancelled('gone'));
    await expect(drained).rejects.toThrow('gone');
  });
});
