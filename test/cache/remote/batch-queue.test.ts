import { describe, expect, it } from 'vitest';
import { BatchQueue } from '../../../cache/remote/batch-queue.ts';
import { cancelled } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';

function queue(run?: (items: readonly number[]) => Promise<readonly number[]>) {
  const batches: number[][] = [];
  const instance = new BatchQueue<number, number>({
    run: async (items) => {
      batches.push([...items]);
      return run === undefined ? items.map((item) => item * 2) : run(items);
    },
    weightOf: (item) => item,
    weightMax: 10,
    itemsMax: 3,
    batchesMax: 1,
  });
  return { batches, queue: instance };
}

describe('BatchQueue', () => {
  it('gathers what comes together, within weight and number', async () => {
    const { batches, queue: items } = queue();
    const results = await Promise.all([1, 2, 3, 4, 7, 50, 1].map((item) => items.submit(item)));
    expect(results).toEqual([2, 4, 6, 8, 14, 100, 2]);
    expect(batches).toEqual([[1, 2, 3], [4], [7], [50], [1]]);
  });

  it('fails the items of a batch that failed', async () => {
    const { queue: items } = queue(async ([first]) => {
      if (first === 1) throw cancelled('no');
      return [0];
    });
    const failed = items.submit(1);
    await expect(failed).rejects.toMatchObject({ code: Code.CANCELLED, message: 'no' });
    expect(await items.submit(5)).toBe(0);
  });

  it('leaves out an item whose caller has gone before its batch began', async () => {
    const { batches, queue: items } = queue();
    const controller = new AbortController();
    const gone = items.submit(1, { signal: controller.signal });
    controller.abort(cancelled('gone'));
    await expect(gone).rejects.toMatchObject({ message: 'gone' });
    await items.submit(2);
    expect(batches).toEqual([[2]]);
  });
});
