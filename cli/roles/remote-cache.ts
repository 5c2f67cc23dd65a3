import type { ActionCache } from '../../cache/action-cache.ts';
import { authorisedStoresOf } from '../../cache/authorised/authorised-stores.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { ChunkingBlobStore } from '../../cache/chunking/chunking-blob-store.ts';
import { CodecBudget } from '../../cache/compression/codec-budget.ts';
import { TransientForms } from '../../cache/compression/transient-forms.ts';
import { mountCache } from '../../cache/grpc/mount-cache.ts';
import { sameStoresFor } from '../../cache/grpc/same-stores.ts';
import { WriteSessions } from '../../cache/grpc/write-sessions.ts';
import type { LogStreams } from '../../cache/log-streams.ts';
import { DrainableLogStreams } from '../../cache/logs/drainable-log-streams.ts';
import { chunkingParamsOf } from '../../cache/remote/chunking-params-of.ts';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobSplitter } from '../../cache/remote/grpc-blob-splitter.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { GrpcLogStreams } from '../../cache/remote/grpc-log-streams.ts';
import { delay, linkedAbort } from '../../core/abort.ts';
import { failedPrecondition, isIngotError, unavailable } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { RoleHost } from '../../core/role.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { RpcServer } from '../../core/rpc/rpc-server.ts';
import {
  type CacheCapabilities,
  CapabilitiesDefinition,
  type ExecutionCapabilities,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { openChannelSecurity } from '../client/open-channel-security.ts';
import type { CacheClientConfig } from './cache-client-config.ts';
import { formatAddress } from './listen.ts';

/** How long a start waits for the cache: a compose file starts everything at once. */
const CONNECT_MS = 30_000;
const RETRY_MS = 250;

/** The cache of another process, with the same face as one of our own. */
export interface RemoteCache {
  readonly blobStore: BlobStore;
  readonly actionCache: ActionCache;
  readonly logStreams: LogStreams;
  addServices(rpc: RpcServer, options: { readonly execution: ExecutionCapabilities }): void;
  /** Sends away the clients that follow a log through us, before the server is closed. */
  drain(): void;
}

/** Connects to a cache and waits until it answers; UNAVAILABLE when it does not in time. */
export async function connectRemoteCache(
  config: CacheClientConfig,
  { logger, lifecycle }: RoleHost,
  options: IoOptions = {},
): Promise<RemoteCache> {
  const security = openChannelSecurity({ ...config, tls: config.cache.tls });
  const address = formatAddress(config.cache);
  const channel = lifecycle.use('connection to the cache', new RpcChannel({ address, logger, security }));
  const cacheCapabilities = await readCapabilities(channel, logger, options);
  const served = new GrpcBlobStore({ channel, instanceName: '' });
  const params = chunkingParamsOf(cacheCapabilities);
  const blobStore = new ChunkingBlobStore({ inner: served, params: async () => params });
  const actionCache = new GrpcActionCache({ channel });
  const logStreams = new DrainableLogStreams(new GrpcLogStreams({ channel }));
  return {
    blobStore,
    actionCache,
    logStreams,
    addServices(rpc, { execution }) {
      mountCache(rpc, {
        // What clients send goes on as they send it; they may cut it themselves.
        storesOf: authorisedStoresOf(sameStoresFor({ blobStore: served, actionCache })),
        forms: new TransientForms(new CodecBudget()),
        logStreams,
        sessions: lifecycle.use('uploads', new WriteSessions()),
        splitter: new GrpcBlobSplitter({ channel, instanceName: '' }),
        cacheCapabilities,
        executionCapabilities: execution,
      });
    },
    drain: () => logStreams.drain(),
  };
}

async function readCapabilities(
  channel: RpcChannel,
  logger: Logger,
  { signal }: IoOptions,
): Promise<CacheCapabilities> {
  const { address } = channel;
  using abort = linkedAbort(signal, {
    timeoutMs: CONNECT_MS,
    timeoutError: unavailable(`wait for the cache at ${address}: no answer within ${CONNECT_MS / 1000} s`),
  });
  const client = channel.client(CapabilitiesDefinition);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { cacheCapabilities } = await client.getCapabilities(
        { instanceName: '' },
        { signal: abort.signal, retry: false },
      );
      if (cacheCapabilities === undefined) {
        throw failedPrecondition(`wait for the cache at ${address}: what answers there is no cache`);
      }
      return cacheCapabilities;
    } catch (error) {
      if (abort.signal.aborted || !isIngotError(error, Code.UNAVAILABLE)) throw error;
      if (attempt === 1) logger.warn({ address, reason: error.message }, 'cache not there yet, trying on');
      await delay(RETRY_MS, { signal: abort.signal });
    }
  }
}
