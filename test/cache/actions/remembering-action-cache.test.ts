import { describe, expect, it } from 'vitest';
import type { ActionCache, ActionKey } from '../../../cache/action-cache.ts';
import { CompletenessCheckingActionCache } from '../../../cache/actions/completeness-checking-action-cache.ts';
import type { DroppableActionCache } from '../../../cache/actions/droppable-action-cache.ts';
import { FiledResult } from '../../../cache/actions/filed-result.ts';
import { RecentResults } from '../../../cache/actions/recent-results.ts';
import { RememberingActionCache } from '../../../cache/actions/remembering-action-cache.ts';
import type { BlobOptions } from '../../../cache/blob-store.ts';
import type { Digest } from '../../../core/digest.ts';
import { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { actionCacheContract } from '../action-cache-contract.ts';
import { sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { store } from '../directories.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { actionKey, outputFiles, result, shown } from '../results.ts';
import { resultsThatNeed } from './results-that-need.ts';

/** Filed results by action, as Level has them; counts reads, and makes them wait. */
class FiledResults implements DroppableActionCache {
  readonly filed = new Map<string, Uint8Array>();
  reads = 0;
  pause: Promise<void> = Promise.resolve();

  async get({ actionDigest }: ActionKey): Promise<ActionResult | undefined> {
    this.reads += 1;
    const bytes = this.filed.get(actionDigest.key);
    await this.pause;
    return bytes === undefined ? undefined : new FiledResult(bytes);
  }

  async put({ actionDigest }: ActionKey, filed: ActionResult): Promise<void> {
    this.filed.set(actionDigest.key, ActionResult.encode(filed).finish());
  }

  async drop({ actionDigest }: ActionKey): Promise<void> {
    this.filed.delete(actionDigest.key);
  }
}

/** Notes for which builds blobs were asked for. */
class WatchedBlobStore extends MemoryBlobStore {
  readonly invocations: (string | undefined)[] = [];

  override findMissing(digests: readonly Digest[], options: BlobOptions = {}): Promise<Digest[]> {
    this.invocations.push(options.invocationId);
    return super.findMissing(digests, options);
  }
}

function open(recent = new RecentResults()) {
  const blobStore = new WatchedBlobStore();
  const filed = new FiledResults();
  const inner = new CompletenessCheckingActionCache({ inner: filed, blobStore, logger: recordingLogger() });
  const actionCache: ActionCache = new RememberingActionCache({ inner, blobStore, recent });
  return { blobStore, filed, actionCache, recent };
}

const key = actionKey(1);
const said = (text: string) => result({ stdoutRaw: Buffer.from(text) });

describe('RememberingActionCache', () => {
  for (const [what, make] of resultsThatNeed) {
    it(`gives a result with ${what} from memory while it is there, and none when it is gone`, async () => {
      const { actionCache, blobStore, filed } = open();
      const needed = await store(blobStore, sampleBytes(33));
      const made = await make(blobStore, needed);
      await actionCache.put(key, made);
      for (let time = 0; time < 3; time += 1) {
        expect(shown(await actionCache.get(key))).toEqual(shown(made));
      }
      expect(filed.reads).toBe(1);
      blobStore.blobs.delete(needed.key);
      expect(await actionCache.get(key)).toBeUndefined();
      expect(filed.filed.size).toBe(0);
    });
  }

  it('misses none of the blobs of a remembered result, whichever goes', async () => {
    for (const [, make] of resultsThatNeed) {
      const { actionCache, blobStore } = open();
      const made = await make(blobStore, await store(blobStore, sampleBytes(33)));
      await actionCache.put(key, made);
      await actionCache.get(key);
      const names = [...blobStore.blobs.keys()].filter((name) => !name.endsWith('-0'));
      for (const name of names) {
        const bytes = blobStore.blobs.get(name)!;
        blobStore.blobs.delete(name);
        expect(await actionCache.get(key)).toBeUndefined();
        blobStore.blobs.set(name, bytes);
        await actionCache.put(key, made);
        expect(await actionCache.get(key)).toBeDefined();
      }
    }
  });

  it('asks for the blobs on behalf of the build that asks for the result', async () => {
    const { actionCache, blobStore } = open();
    const digest = await store(blobStore, sampleBytes(9));
    await actionCache.put(key, result({ outputFiles: outputFiles({ digest }) }), { invocationId: 'put' });
    await actionCache.get(key, { invocationId: 'first' });
    await actionCache.get(key, { invocationId: 'second' });
    expect(blobStore.invocations).toEqual(['put', 'first', 'second']);
  });

  it('gives the newest result after a put, also to one who began to read before it', async () => {
    const { actionCache, filed } = open();
    await actionCache.put(key, said('old'));
    const gate = Promise.withResolvers<void>();
    filed.pause = gate.promise;
    const early = actionCache.get(key);
    await actionCache.put(key, said('new'));
    gate.resolve();
    expect(shown(await early)).toEqual(shown(said('old')));
    expect(shown(await actionCache.get(key))).toEqual(shown(said('new')));
    await actionCache.put(key, said('newest'));
    expect(shown(await actionCache.get(key))).toEqual(shown(said('newest')));
  });

  it('forgets a result also when putting another in its place failed, which may have been durable', async () => {
    const { actionCache, filed } = open();
    await actionCache.put(key, said('old'));
    await actionCache.get(key);
    filed.put = async () => Promise.reject(new Error('disk'));
    await expect(actionCache.put(key, said('new'))).rejects.toThrow('disk');
    await actionCache.get(key);
    expect(filed.reads).toBe(2);
  });
});

describe('RecentResults', () => {
  const filedResult = (bytes: number) => {
    const made = new FiledResult(ActionResult.encode(result({ stdoutRaw: Buffer.alloc(bytes) })).finish());
    made.setNeeds([]);
    return made;
  };

  it('keeps to its bytes, and gives up what was not asked for longest', () => {
    const recent = new RecentResults({ bytesMax: 300_000 });
    for (let seed = 0; seed < 200; seed += 1) {
      recent.keep(actionKey(seed), filedResult(200), recent.epoch);
      recent.get(actionKey(0));
      expect(recent.bytes).toBeLessThanOrEqual(300_000);
    }
    expect(recent.bytes).toBeGreaterThan(250_000);
    expect(recent.get(actionKey(0))).toBeDefined();
    expect(recent.get(actionKey(1))).toBeUndefined();
    expect(recent.get(actionKey(199))).toBeDefined();
  });

  it('keeps none that is too large, or of which it is not known what it needs', () => {
    const recent = new RecentResults({ bytesMax: 300_000 });
    recent.keep(key, filedResult(600), recent.epoch);
    recent.keep(key, new FiledResult(ActionResult.encode(said('x')).finish()), recent.epoch);
    expect([recent.get(key), recent.bytes]).toEqual([undefined, 0]);
  });

  it('keeps none that was read before something was forgotten, and gives back what it took', () => {
    const recent = new RecentResults();
    const { epoch } = recent;
    recent.keep(key, filedResult(10), epoch);
    recent.keep(key, filedResult(20), epoch);
    recent.forget(key);
    recent.keep(key, filedResult(10), epoch);
    expect([recent.get(key), recent.bytes]).toEqual([undefined, 0]);
  });

  it('tells instances and digest functions apart', () => {
    const recent = new RecentResults();
    recent.keep(actionKey(1, 'a'), filedResult(10), recent.epoch);
    expect(recent.get(actionKey(1, 'b'))).toBeUndefined();
    expect(recent.get(actionKey(1, ''))).toBeUndefined();
    expect(recent.get(actionKey(1, 'a'))).toBeDefined();
  });
});

actionCacheContract('RememberingActionCache, of a whole cache', async () => {
  const server = await openCacheServer();
  return {
    actionCache: server.actionCache,
    blobStore: server.blobStore,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});
