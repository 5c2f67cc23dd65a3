import { describe, expect, it } from 'vitest';
import { KeyedMutex } from '../../core/keyed-mutex.ts';

describe('KeyedMutex', () => {
  it('runs tasks of a key one after another, and of different keys side by side', async () => {
    const mutex = new KeyedMutex();
    const events: string[] = [];
    const task = (name: string) => async () => {
      events.push(`${name} begins`);
      await new Promise((done) => setImmediate(done));
      events.push(`${name} ends`);
    };
    await Promise.all([mutex.run('a', task('a1')), mutex.run('a', task('a2')), mutex.run('b', task('b1'))]);
    expect(events.indexOf('a2 begins')).toBeGreaterThan(events.indexOf('a1 ends'));
    expect(events.indexOf('b1 begins')).toBeLessThan(events.indexOf('a1 ends'));
  });

  it('goes on after a task that fails', async () => {
    const mutex = new KeyedMutex();
    const failed = mutex.run('a', async () => {
      throw new Error('no');
    });
    const next = mutex.run('a', async () => 'yes');
    await expect(failed).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
