import { describe, expect, it } from 'vitest';
import { SizeLimitedBlobStore } from '../../../cache/blobs/size-limited-blob-store.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { sampleBlob } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

const nothingToClose = { [Symbol.asyncDispose]: async () => undefined };

blobStoreContract('MemoryBlobStore, which stands in for others in tests', async () => ({
  store: new MemoryBlobStore(),
  ...nothingToClose,
}));

blobStoreContract('SizeLimitedBlobStore', async () => ({
  store: new SizeLimitedBlobStore({ inner: new MemoryBlobStore(), blobBytesMax: 5_120_000 }),
  ...nothingToClose,
}));

describe('SizeLimitedBlobStore', () => {
  it('refuses a blob over its limit before reading it', async () => {
    const { digest } = sampleBlob(101);
    const store = new SizeLimitedBlobStore({ inner: new MemoryBlobStore(), blobBytesMax: 100 });
    const unread = {
      [Symbol.asyncIterator]() {
        throw new Error('was read');
      },
    };
    await expect(store.write(digest, unread)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: at most 100 bytes are accepted in one blob`,
    });
  });
});
