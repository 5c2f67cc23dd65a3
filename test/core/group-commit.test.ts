import { describe, expect, it } from 'vitest';
import { GroupCommit } from '../../core/group-commit.ts';

describe('GroupCommit', () => {
  it('flushes at once when idle, and all that waits together after that', async () => {
    const groups: number[][] = [];
    const gate = Promise.withResolvers<void>();
    const commit = new GroupCommit<number>(async (items) => {
      groups.push([...items]);
      if (groups.length === 1) await gate.promise;
    });
    const first = [commit.submit(1), commit.submit(2)];
    await new Promise((done) => setImmediate(done));
    expect(groups).toEqual([[1, 2]]);
    const later = [3, 4, 5].map((item) => commit.submit(item));
    gate.resolve();
    await Promise.all([...first, ...later]);
    expect(groups).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });

  it('fails those whose flush failed, and no others', async () => {
    const commit = new GroupCommit<string>(async ([item]) => {
      if (item === 'bad') throw new Error('full');
    });
    const bad = commit.submit('bad');
    await expect(bad).rejects.toThrow('full');
    await commit.submit('good');
    await commit.idle();
  });
});
