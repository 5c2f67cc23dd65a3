import type { ActionCache } from '../../cache/action-cache.ts';
import { authorisedStoresOf } from '../../cache/authorised/authorised-stores.ts';
import type { BlobStoreOf } from '../../cache/blob-store-of.ts';
import type { BlobSplitter } from '../../cache/chunking/blob-splitter.ts';
import { ChunkingBlobStore } from '../../cache/chunking/chunking-blob-store.ts';
import { CodecBudget } from '../../cache/compression/codec-budget.ts';
import { TransientForms } from '../../cache/compression/transient-forms.ts';
import { mountCache } from '../../cache/grpc/mount-cache.ts';
import { storesByInstance } from '../../cache/grpc/stores-by-instance.ts';
import { WriteSessions } from '../../cache/grpc/write-sessions.ts';
import type { LogStreams } from '../../cache/log-streams.ts';
import { DrainableLogStreams } from '../../cache/logs/drainable-log-streams.ts';
import type { ResumableLogStreams } from '../../cache/logs/resumable-log-streams.ts';
import { chunkingParamsOf } from '../../cache/remote/chunking-params-of.ts';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobSplitter } from '../../cache/remote/grpc-blob-splitter.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { GrpcLogStreams } from '../../cache/remote/grpc-log-streams.ts';
import { CacheNodes } from '../../cache/sharded/cache-nodes.ts';
import type { RendezvousNode } from '../../cache/sharded/rendezvous.ts';
import { ShardedActionCache } from '../../cache/sharded/sharded-action-cache.ts';
import { ShardedBlobStore } from '../../cache/sharded/sharded-blob-store.ts';
import { ShardedLogStreams } from '../../cache/sharded/sharded-log-streams.ts';
import { delay, linkedAbort } from '../../core/abort.ts';
import { anonymous } from '../../core/caller.ts';
import { failedPrecondition, isIngotError, unavailable, unimplemented } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { RoleHost } from '../../core/role.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { RetryPolicy } from '../../core/rpc/rpc-retry-policy.ts';
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
/** Where another node can be asked instead. */
const ONE_TRY: RetryPolicy = { attemptsMax: 1, firstBackoffMs: 100, backoffMsMax: 100 };

/** The cache of another process, with the same face as one of our own. */
export interface RemoteCache {
  readonly blobStoreOf: BlobStoreOf;
  readonly actionCache: ActionCache;
  readonly logStreams: LogStreams;
  addServices(rpc: RpcServer, options: { readonly execution: ExecutionCapabilities }): void;
  /** Sends away the clients that follow a log through us, before the server is closed. */
  drain(): void;
}

/** Connects to a cache, or to several nodes of one, and waits until one answers; UNAVAILABLE when none does in time. */
export async function connectRemoteCache(
  config: CacheClientConfig,
  host: RoleHost,
  options: IoOptions = {},
): Promise<RemoteCache> {
  const { lifecycle } = host;
  const parts = await connectParts(config, host, options);
  const { servedOf, actionCache, cacheCapabilities, splitterOf } = parts;
  const params = chunkingParamsOf(cacheCapabilities);
  const served = storesByInstance((name) => ({ blobStore: servedOf(name), actionCache }));
  const own = storesByInstance((name) => ({
    blobStore: new ChunkingBlobStore({
      inner: served(name, anonymous).blobStore,
      params: async () => params,
    }),
    actionCache,
  }));
  const logStreams = new DrainableLogStreams(parts.logStreams);
  return {
    blobStoreOf: (instanceName) => own(instanceName, anonymous).blobStore,
    actionCache,
    logStreams,
    addServices(rpc, { execution }) {
      mountCache(rpc, {
        // What clients send goes on as they send it; they may cut it themselves.
        storesOf: authorisedStoresOf(served),
        forms: new TransientForms(new CodecBudget()),
        logStreams,
        sessions: lifecycle.use('uploads', new WriteSessions()),
        splitterOf,
        cacheCapabilities,
        executionCapabilities: execution,
      });
    },
    drain: () => logStreams.drain(),
  };
}

interface RemoteParts {
  readonly servedOf: BlobStoreOf;
  readonly actionCache: ActionCache;
  readonly logStreams: ResumableLogStreams;
  readonly splitterOf: (instanceName: string) => BlobSplitter;
  readonly cacheCapabilities: CacheCapabilities;
}

async function connectParts(
  { cache, cacheFailover, ...security }: CacheClientConfig,
  { logger, lifecycle }: RoleHost,
  options: IoOptions,
): Promise<RemoteParts> {
  const channelSecurity = openChannelSecurity({ ...security, tls: cache[0]?.tls === true });
  const connect = (address: string, retry?: RetryPolicy) =>
    lifecycle.use(
      'connection to the cache',
      new RpcChannel({
        address,
        logger,
        security: channelSecurity,
        ...(retry === undefined ? {} : { retry }),
      }),
    );
  const [first, ...others] = cache.map((node) => ({ name: formatAddress(node), weight: node.weight }));
  if (first === undefined) throw failedPrecondition('no cache is named');
  if (others.length === 0) {
    const channel = connect(first.name);
    return {
      servedOf: (instanceName) => new GrpcBlobStore({ channel, instanceName }),
      actionCache: new GrpcActionCache({ channel }),
      logStreams: new GrpcLogStreams({ channel }),
      splitterOf: (instanceName) => new GrpcBlobSplitter({ channel, instanceName }),
      cacheCapabilities: await readCapabilities(channel, logger, options),
    };
  }
  return connectNodes([first, ...others], { connect, failover: cacheFailover, logger, ...options });
}

interface NodesOptions extends IoOptions {
  connect(address: string, retry?: RetryPolicy): RpcChannel;
  readonly failover: boolean;
  readonly logger: Logger;
}

/** Nodes of one cache. Chunks of a blob would be scattered over them, so blobs go whole. */
async function connectNodes(
  names: readonly [RendezvousNode, ...RendezvousNode[]],
  { connect, failover, logger, signal }: NodesOptions,
): Promise<RemoteParts> {
  const open = (node: RendezvousNode) => {
    // Patience is for when all are away, and above: here it would only put off asking the next one.
    const channel = connect(node.name, ONE_TRY);
    return {
      ...node,
      channel,
      actionCache: new GrpcActionCache({ channel }),
      logStreams: new GrpcLogStreams({ channel }),
    };
  };
  const [first, ...others] = names;
  const opened: [ReturnType<typeof open>, ...ReturnType<typeof open>[]] = [open(first), ...others.map(open)];
  const nodesOf = (instanceName: string) => {
    const storeOf = (node: (typeof opened)[number]) => ({
      ...node,
      blobStore: new GrpcBlobStore({ channel: node.channel, instanceName, retry: ONE_TRY }),
    });
    const [one, ...more] = opened;
    return new CacheNodes({ nodes: [storeOf(one), ...more.map(storeOf)], failover, logger });
  };
  using abort = linkedAbort(signal);
  const answers = opened.map(({ channel }) => readCapabilities(channel, logger, { signal: abort.signal }));
  const cacheCapabilities = await Promise.any(answers).catch(() => Promise.race(answers));
  return {
    servedOf: (instanceName) => new ShardedBlobStore({ nodes: nodesOf(instanceName) }),
    actionCache: new ShardedActionCache({ nodes: nodesOf('') }),
    logStreams: new ShardedLogStreams({ nodes: opened }),
    splitterOf: () => ({
      split: async () => {
        throw unimplemented('SplitBlob: a cache of several nodes does not offer it');
      },
    }),
    cacheCapabilities: { ...cacheCapabilities, splitBlobSupport: false, spliceBlobSupport: false },
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
