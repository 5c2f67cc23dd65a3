import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActionCache } from '../../cache/action-cache.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { cancelled } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { sampleBytes } from './bytes.ts';
import { store } from './directories.ts';
import { actionKey, outputFiles, result, shown } from './results.ts';

/** What a contract run opens and closes. */
export interface OpenedActionCache extends AsyncDisposable {
  readonly actionCache: ActionCache;
  /** Where the blobs of results go. */
  readonly blobStore: BlobStore;
}

/** What every ActionCache promises, on one that begins empty and is used by all the tests. */
export function actionCacheContract(name: string, open: () => Promise<OpenedActionCache>): void {
  describe(`${name}, as an ActionCache`, () => {
    let opened: OpenedActionCache;
    let actionCache: ActionCache;
    let seed = 0;
    const freshKey = (instanceName = '') => {
      seed += 1;
      return actionKey(seed, instanceName);
    };
    beforeAll(async () => {
      opened = await open();
      actionCache = opened.actionCache;
    });
    afterAll(async () => {
      await opened[Symbol.asyncDispose]();
    });

    it('has nothing of an action it never saw', async () => {
      expect(await actionCache.get(freshKey())).toBeUndefined();
    });

    it('gives back a result as it was filed', async () => {
      const digest = await store(opened.blobStore, sampleBytes(100));
      const key = freshKey();
      const filed = result({
        outputFiles: outputFiles({ 'out/a.o': digest, 'out/b.o': digest }),
        stdoutDigest: digest.toMessage(),
        stderrRaw: Buffer.from('warning'),
        outputSymlinks: [{ path: 'out/link', target: '../a.o', nodeProperties: undefined }],
      });
      await actionCache.put(key, filed);
      expect(shown(await actionCache.get(key))).toEqual(shown(filed));
    });

    it('replaces an older result', async () => {
      const key = freshKey();
      await actionCache.put(key, result({ stdoutRaw: Buffer.from('old') }));
      await actionCache.put(key, result({ stdoutRaw: Buffer.from('new') }));
      expect(shown(await actionCache.get(key))).toEqual(shown(result({ stdoutRaw: Buffer.from('new') })));
    });

    it('keeps the instances apart', async () => {
      const { actionDigest } = freshKey();
      await actionCache.put({ instanceName: 'a', actionDigest }, result({ stdoutRaw: Buffer.from('a') }));
      expect(await actionCache.get({ instanceName: 'b', actionDigest })).toBeUndefined();
      expect(await actionCache.get({ instanceName: '', actionDigest })).toBeUndefined();
      expect(await actionCache.get({ instanceName: 'a', actionDigest })).toBeDefined();
    });

    it('takes many results at once', async () => {
      const entries = Array.from({ length: 100 }, (_, index) => ({
        key: freshKey(),
        filed: result({ stdoutRaw: Buffer.from(`${index}`) }),
      }));
      await Promise.all(entries.map(({ key, filed }) => actionCache.put(key, filed)));
      for (const { key, filed } of entries) expect(shown(await actionCache.get(key))).toEqual(shown(filed));
    });

    it('does not begin when its signal has aborted', async () => {
      const signal = AbortSignal.abort(cancelled('too late'));
      const refusal = { code: Code.CANCELLED, message: 'too late' };
      const key = freshKey();
      await expect(actionCache.put(key, result(), { signal })).rejects.toMatchObject(refusal);
      await expect(actionCache.get(key, { signal })).rejects.toMatchObject(refusal);
      expect(await actionCache.get(key)).toBeUndefined();
    });

    it('refuses a result that would not fit a message', async () => {
      const key = freshKey();
      const raw = Buffer.alloc(4 * 1024 * 1024 - 64 * 1024);
      await expect(actionCache.put(key, result({ stdoutRaw: raw }))).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `Put result of action ${key.actionDigest}: it has ${raw.length + 5} bytes, at most ${raw.length} are accepted`,
      });
      expect(await actionCache.get(key)).toBeUndefined();
    });
  });
}
