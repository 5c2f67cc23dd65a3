import { describe, expect, it } from 'vitest';
import type { ActionKey } from '../../../cache/action-cache.ts';
import { CompletenessCheckingActionCache } from '../../../cache/actions/completeness-checking-action-cache.ts';
import type { DroppableActionCache } from '../../../cache/actions/droppable-action-cache.ts';
import { GrpcActionCache } from '../../../cache/remote/grpc-action-cache.ts';
import { PRECONDITION_FAILURE_TYPE, unpackAny } from '../../../core/error-details.ts';
import type { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../../proto/gen/google/rpc/error_details.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { actionCacheContract } from '../action-cache-contract.ts';
import { sampleBlob, sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { directory, encoded, store, storeTree } from '../directories.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { actionKey, outputDirectory, result, shown } from '../results.ts';
import { resultsThatNeed } from './results-that-need.ts';

class MemoryActionCache implements DroppableActionCache {
  readonly results = new Map<string, ActionResult>();

  async get({ actionDigest }: ActionKey): Promise<ActionResult | undefined> {
    return this.results.get(actionDigest.key);
  }

  async put({ actionDigest }: ActionKey, filed: ActionResult): Promise<void> {
    this.results.set(actionDigest.key, filed);
  }

  async drop({ actionDigest }: ActionKey): Promise<void> {
    this.results.delete(actionDigest.key);
  }
}

function open() {
  const blobStore = new MemoryBlobStore();
  const inner = new MemoryActionCache();
  const logger = recordingLogger();
  return {
    blobStore,
    inner,
    logger,
    actionCache: new CompletenessCheckingActionCache({ inner, blobStore, logger }),
  };
}

describe('CompletenessCheckingActionCache', () => {
  for (const [what, make] of resultsThatNeed) {
    it(`gives a result with ${what} while it is there, and drops it when it is gone`, async () => {
      const { actionCache, blobStore, inner, logger } = open();
      const needed = await store(blobStore, sampleBytes(33));
      const filed = await make(blobStore, needed);
      const key = actionKey(1);
      await actionCache.put(key, filed);
      expect(shown(await actionCache.get(key))).toEqual(shown(filed));
      blobStore.blobs.delete(needed.key);
      expect(await actionCache.get(key)).toBeUndefined();
      expect(inner.results.size).toBe(0);
      expect(logger.at('info')).toEqual([
        {
          level: 'info',
          fields: { action: key.actionDigest.toString(), flaw: `blob ${needed} is missing` },
          message: 'a cached result is of no use any more',
        },
      ]);
    });

    it(`refuses to file a result without ${what}, naming it`, async () => {
      const { actionCache, blobStore, inner } = open();
      const needed = sampleBlob(34).digest;
      const key = actionKey(1);
      const filed = await make(blobStore, needed);
      const error = await rejection(actionCache.put(key, filed));
      expect(error).toMatchObject({
        code: Code.FAILED_PRECONDITION,
        message: `Put result of action ${key.actionDigest}: it names 1 absent blobs, among them ${needed}`,
      });
      const [detail] = error.details;
      expect(unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, detail!)?.violations).toEqual([
        { type: 'MISSING', subject: `blobs/${needed}`, description: '' },
      ]);
      expect(inner.results.size).toBe(0);
    });
  }

  it('drops a result whose Tree lacks a directory it refers to', async () => {
    const { actionCache, blobStore, inner } = open();
    const absent = encoded(directory({ a: await store(blobStore, sampleBytes(5)) })).digest;
    const tree = await storeTree(blobStore, directory({}, { absent }));
    const key = actionKey(1);
    await inner.put(key, result({ outputDirectories: [outputDirectory('d', { tree })] }));
    expect(await actionCache.get(key)).toBeUndefined();
    expect(inner.results.size).toBe(0);
  });

  it('drops a result whose Tree, or whose root directory, is gone', async () => {
    const { actionCache, inner } = open();
    const gone = sampleBlob(77).digest;
    for (const part of [{ tree: gone }, { root: gone }]) {
      await inner.put(actionKey(1), result({ outputDirectories: [outputDirectory('d', part)] }));
      expect(await actionCache.get(actionKey(1))).toBeUndefined();
      expect(inner.results.size).toBe(0);
    }
  });

  it('tells the children of a Tree by their own bytes, however they are encoded', async () => {
    const { actionCache, blobStore } = open();
    const file = await store(blobStore, sampleBytes(5));
    const { bytes } = encoded(directory({ file }));
    // A field we do not know, as a newer client may write.
    const leafBytes = Buffer.concat([bytes, Buffer.from([0x7a, 0x01, 0x21])]);
    const leaf = await store(blobStore, leafBytes);
    const root = encoded(directory({}, { leaf })).bytes;
    const tree = await store(
      blobStore,
      Buffer.concat([
        Buffer.from([0x0a, root.length]),
        root,
        Buffer.from([0x12, leafBytes.length]),
        leafBytes,
      ]),
    );
    await actionCache.put(actionKey(1), result({ outputDirectories: [outputDirectory('d', { tree })] }));
    expect(await actionCache.get(actionKey(1))).toBeDefined();
  });

  it('refuses a Tree that is none, or too large, and drops a result that has one', async () => {
    const { actionCache, blobStore, inner } = open();
    const key = actionKey(1);
    const noTree = await store(blobStore, Buffer.from([0x0a, 0x7f, 0x01]));
    const filed = result({ outputDirectories: [outputDirectory('d', { tree: noTree })] });
    await expect(actionCache.put(key, filed)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `result of action ${key.actionDigest}: tree ${noTree}: tree is not a well-formed message`,
    });
    await inner.put(key, filed);
    expect(await actionCache.get(key)).toBeUndefined();
    expect(inner.results.size).toBe(0);
  });
});

actionCacheContract('CompletenessCheckingActionCache over gRPC, GrpcActionCache', async () => {
  const server = await openCacheServer();
  return {
    actionCache: new GrpcActionCache({ channel: server.channel }),
    blobStore: server.blobStore,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});
