import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import type { RpcServer } from '../../core/rpc/rpc-server.ts';
import {
  type CacheCapabilities,
  CapabilitiesDefinition,
  type ExecutionCapabilities,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobSplitter } from '../chunking/blob-splitter.ts';
import type { ChunkLists } from '../chunking/chunk-lists.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import type { ResumableLogStreams } from '../logs/resumable-log-streams.ts';
import { actionCacheService } from './action-cache-service.ts';
import { byteStreamService } from './byte-stream-service.ts';
import { capabilitiesService } from './capabilities-service.ts';
import { contentAddressableStorageService } from './content-addressable-storage-service.ts';
import type { InstanceStoresOf } from './instance-stores.ts';
import { ActionCacheDefinition } from './wire/action-cache-definition.ts';
import { CasDefinition } from './wire/cas-definition.ts';
import type { WriteSessions } from './write-sessions.ts';

/** What the cache's services stand on: stores of this process, or of another behind a channel. */
export interface MountedCache {
  readonly storesOf: InstanceStoresOf;
  readonly forms: CompressedForms;
  readonly logStreams: ResumableLogStreams;
  readonly sessions: WriteSessions;
  readonly splitterOf: (instanceName: string) => BlobSplitter;
  /** Where the stores are of this process. */
  readonly chunkLists?: ChunkLists | undefined;
  readonly cacheCapabilities: CacheCapabilities;
  /** Where the endpoint also executes. */
  readonly executionCapabilities?: ExecutionCapabilities | undefined;
}

/** Adds Capabilities, ContentAddressableStorage, ActionCache and ByteStream to a server. */
export function mountCache(rpc: RpcServer, cache: MountedCache): void {
  const updateEnabled = cache.cacheCapabilities.actionCacheUpdateCapabilities?.updateEnabled === true;
  rpc.addService(CapabilitiesDefinition, capabilitiesService(cache), { getCapabilities: [] });
  rpc.addService(CasDefinition, contentAddressableStorageService(cache), {
    // Whoever uploads asks first.
    findMissingBlobs: ['read', 'write'],
    batchUpdateBlobs: ['write'],
    batchReadBlobs: ['read'],
    getTree: ['read'],
    splitBlob: ['read'],
    spliceBlob: ['write'],
  });
  rpc.addService(ActionCacheDefinition, actionCacheService({ ...cache, updateEnabled }), {
    getActionResult: ['read'],
    updateActionResult: ['publish'],
  });
  // Blobs take `write` and logs take `work`: which of them, the service sees by the name.
  rpc.addService(ByteStreamDefinition, byteStreamService(cache), {
    read: ['read'],
    write: ['write', 'work'],
    queryWriteStatus: ['write', 'work'],
  });
}
