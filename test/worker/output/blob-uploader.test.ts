import { expect, test } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { unavailable } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { BlobUploader } from '../../../worker/output/blob-uploader.ts';
import { blobOf } from '../../../worker/output/output-directory.ts';
import { StoreRetries } from '../../../worker/store-retries.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { rejection } from '../../setup/rejection.ts';

function uploader(store: MemoryBlobStore, windowMs = 0) {
  return new BlobUploader({
    blobStore: store,
    retries: new StoreRetries({ logger: silentLogger, windowMs, firstDelayMs: 1 }),
  });
}

const blob = (text: string) => blobOf(Buffer.from(text), DigestFunction_Value.SHA256);

test('stores what the store lacks, each blob once', async () => {
  const store = new MemoryBlobStore();
  store.put(Buffer.from('known'));
  const written: string[] = [];
  const write = store.write.bind(store);
  store.write = (digest, source) => {
    written.push(digest.hash);
    return write(digest, source);
  };
  await uploader(store).upload([blob('known'), blob('new'), blob('new'), blob('')]);
  expect(written).toEqual([blob('new').digest.hash]);
});

test('starts a blob from its beginning when the store was away in the middle', async () => {
  const store = new MemoryBlobStore();
  const write = store.write.bind(store);
  let failures = 2;
  store.write = async (digest, source) => {
    if (failures > 0) {
      for await (const _chunk of source) break;
      failures -= 1;
      throw unavailable('the cache restarts');
    }
    await write(digest, source);
  };
  await uploader(store, 5000).upload([blob('text')]);
  expect(await store.findMissing([blob('text').digest])).toEqual([]);
});

test("bytes that are not the ones that were hashed are the worker's fault", async () => {
  const store = new MemoryBlobStore();
  const digest = Digest.ofBytes(Buffer.from('before'));
  const upload = uploader(store).upload([{ digest, open: () => bytesOf(Buffer.from('after!')) }]);
  expect(await rejection(upload)).toMatchObject({
    code: Code.INTERNAL,
    message: `store output ${digest}: the bytes are not those of ${digest}`,
  });
});
