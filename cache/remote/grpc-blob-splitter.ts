import { Digest } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import type { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import { ContentAddressableStorageDefinition } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { BlobSplitter } from '../chunking/blob-splitter.ts';
import type { ChunkList } from '../chunking/chunk-list.ts';
import { hashingTimeoutMs } from './hashing-timeout.ts';

/** What a {@link GrpcBlobSplitter} depends on. */
export interface GrpcBlobSplitterDependencies {
  readonly channel: Pick<RpcChannel, 'client'>;
  readonly instanceName: string;
}

/** Leaves the cutting to the cache on the other side, which has the blobs; for an endpoint whose stores are there. */
export class GrpcBlobSplitter implements BlobSplitter {
  readonly #cas: ServiceClient<ContentAddressableStorageDefinition>;
  readonly #instanceName: string;

  constructor({ channel, instanceName }: GrpcBlobSplitterDependencies) {
    this.#cas = channel.client(ContentAddressableStorageDefinition);
    this.#instanceName = instanceName;
  }

  async split(
    digest: Digest,
    _store: BlobStore,
    { signal }: BlobOptions = {},
  ): Promise<ChunkList | undefined> {
    try {
      const { chunkDigests, chunkingFunction } = await this.#cas.splitBlob(
        {
          instanceName: this.#instanceName,
          blobDigest: digest.toMessage(),
          digestFunction: digest.digestFunction,
          chunkingFunction: 0,
        },
        { signal, timeoutMs: hashingTimeoutMs(digest) },
      );
      const chunks = chunkDigests.map((message) => Digest.fromMessage(message, digest.digestFunction));
      return { chunks, chunkingFunction };
    } catch (error) {
      if (isIngotError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    }
  }
}
