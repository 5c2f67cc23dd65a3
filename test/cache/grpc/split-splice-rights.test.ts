import { describe, expect, it } from 'vitest';
import { authorisedStoresOf } from '../../../cache/authorised/authorised-stores.ts';
import { CuttingBlobSplitter } from '../../../cache/chunking/cutting-blob-splitter.ts';
import { CodecBudget } from '../../../cache/compression/codec-budget.ts';
import { TransientForms } from '../../../cache/compression/transient-forms.ts';
import { contentAddressableStorageService } from '../../../cache/grpc/content-addressable-storage-service.ts';
import type { Right } from '../../../core/caller.ts';
import type { CallContext } from '../../../core/rpc/rpc-service.ts';
import { bytesOf } from '../../../core/streams.ts';
import { MemoryActionCache } from '../../setup/memory-action-cache.ts';
import { sampleBytes } from '../bytes.ts';
import { cut, openChunkedStore } from '../chunking/chunked-store.ts';

const MIB = 1024 * 1024;
const base = { instanceName: 'a', digestFunction: 0 as const, chunkingFunction: 0 as const };

/** A call whose method the caller was found to have the right for. */
function callBy(...rights: readonly Right[]): CallContext {
  const caller = { name: 'ann', rights: new Set(rights), instanceNames: new Set(['a']) };
  const { signal } = new AbortController();
  return {
    caller,
    signal,
    throwIfAborted: () => signal.throwIfAborted(),
    deadlineMs: undefined,
    metadata: new Map(),
    peer: '',
    requestMetadata: undefined,
    invocationId: undefined,
  };
}

async function openService() {
  const opened = await openChunkedStore();
  const stores = { blobStore: opened.store, actionCache: new MemoryActionCache() };
  return {
    ...opened,
    service: contentAddressableStorageService({
      storesOf: authorisedStoresOf(() => stores),
      splitterOf: () => new CuttingBlobSplitter(opened),
      chunkLists: opened.lists,
      forms: new TransientForms(new CodecBudget()),
    }),
  };
}

describe('rights of split and splice', () => {
  it('let a reader have a blob cut, though it may write nothing', async () => {
    await using opened = await openService();
    const bytes = sampleBytes(3 * MIB, 1);
    const { digest, chunks } = await cut(bytes);
    await opened.store.write(digest, bytesOf(bytes));
    const request = { ...base, blobDigest: digest.toMessage() };
    const { chunkDigests } = await opened.service.splitBlob(request, callBy('read'));
    expect(chunkDigests).toEqual(chunks.map((chunk) => chunk.digest.toMessage()));
  });

  it('let a writer have a blob put together, though it may read nothing', async () => {
    await using opened = await openService();
    const { digest, chunks } = await cut(sampleBytes(3 * MIB, 2));
    for (const chunk of chunks) await opened.store.write(chunk.digest, bytesOf(chunk.bytes));
    const request = {
      ...base,
      blobDigest: digest.toMessage(),
      chunkDigests: chunks.map((chunk) => chunk.digest.toMessage()),
    };
    await opened.service.spliceBlob(request, callBy('write'));
    expect(opened.lists.has(digest)).toBe(true);
  });

  it('are for the instances of the caller only', async () => {
    await using opened = await openService();
    const { digest } = await cut(sampleBytes(3 * MIB, 3));
    const request = { ...base, instanceName: 'b', blobDigest: digest.toMessage() };
    const message = 'ann may not use the instance "b"';
    await expect(opened.service.splitBlob(request, callBy('read'))).rejects.toThrow(message);
    await expect(
      opened.service.spliceBlob({ ...request, chunkDigests: [] }, callBy('write')),
    ).rejects.toThrow(message);
  });
});
