import { describe, expect, it } from 'vitest';
import { retryInfo } from '../../../core/error-details.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { actionKey, result, shown } from '../results.ts';
import { openSharded } from './sharded-under-test.ts';

describe('ShardedActionCache', () => {
  it('files each result in the node its action chooses, and in the next while that is away', async () => {
    const { actionCache, list } = openSharded();
    const filed = result({ stdoutRaw: Buffer.from('out') });
    const keys = Array.from({ length: 30 }, (_, index) => actionKey(index));
    for (const key of keys) await actionCache.put(key, filed);
    for (const key of keys) expect(shown(await actionCache.get(key))).toEqual(shown(filed));
    const sizes = list.map((node) => node.actionCache.size);
    expect(sizes.reduce((a, b) => a + b)).toBe(30);
    expect(Math.min(...sizes)).toBeGreaterThan(2);

    list[0]!.goAway();
    for (const key of keys) await actionCache.put(key, filed);
    for (const key of keys) expect(shown(await actionCache.get(key))).toEqual(shown(filed));
    expect(list[0]!.actionCache.size).toBe(sizes[0]);
    expect(list[1]!.actionCache.size + list[2]!.actionCache.size).toBe(30);
  });

  it('is UNAVAILABLE when every node is away, and says when to come back', async () => {
    const { actionCache, list } = openSharded();
    for (const node of list) node.goAway();
    const refusal = { code: Code.UNAVAILABLE, details: [retryInfo(5000)] };
    await expect(actionCache.get(actionKey(1))).rejects.toMatchObject(refusal);
    await expect(actionCache.put(actionKey(1), result({}))).rejects.toMatchObject(refusal);
  });
});
