import { randomUUID } from 'node:crypto';
import type { BlobStore } from '../../cache/blob-store.ts';
import { ChunkTotals } from '../../cache/chunking/chunk-totals.ts';
import { ChunkingBlobStore } from '../../cache/chunking/chunking-blob-store.ts';
import { announcedChunking } from '../../cache/remote/announced-chunking.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import type { CallOptions, ServiceClient } from '../../core/rpc/rpc-service.ts';
import {
  ActionCacheDefinition,
  ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { OperationsDefinition } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { FarmDefinition, type FarmStatus } from '../../proto/gen/ingot/v1/farm.ts';
import { HintedError } from '../hinted-error.ts';
import type { FarmAddress } from './farm-address.ts';
import { FarmChannel } from './farm-channel.ts';
import { openChannelSecurity } from './open-channel-security.ts';

/** A farm that does not answer its first call in this time is taken for away. */
const FIRST_CONTACT_MS = 10_000;

/** The services of one farm over one connection; open it with `await using`. */
export class FarmConnection implements AsyncDisposable {
  readonly address: FarmAddress;
  readonly blobStore: BlobStore;
  /** Of large blobs that were written: what went over the wire, and what the farm had. */
  readonly chunkTotals = new ChunkTotals();
  readonly actionCache: ServiceClient<ActionCacheDefinition>;
  readonly execution: ServiceClient<ExecutionDefinition>;
  readonly operations: ServiceClient<OperationsDefinition>;
  readonly byteStream: ServiceClient<ByteStreamDefinition>;
  readonly #farm: ServiceClient<FarmDefinition>;
  readonly #channel: FarmChannel;

  constructor(address: FarmAddress, { version }: { readonly version: string }) {
    this.address = address;
    this.#channel = new FarmChannel({
      address: address.endpoint,
      security: openChannelSecurity(address.security),
      callOptions: callOptions(version),
    });
    const remote = { channel: this.#channel, instanceName: address.instanceName };
    this.blobStore = new ChunkingBlobStore({
      inner: new GrpcBlobStore(remote),
      params: announcedChunking(remote),
      totals: this.chunkTotals,
    });
    this.actionCache = this.#channel.client(ActionCacheDefinition);
    this.execution = this.#channel.client(ExecutionDefinition);
    this.operations = this.#channel.client(OperationsDefinition);
    this.byteStream = this.#channel.client(ByteStreamDefinition);
    this.#farm = this.#channel.client(FarmDefinition);
  }

  /**
   * The farm's own word on itself; undefined from a server that is not ingot. A good first call: it is not
   * repeated, so that an absent farm is known at once.
   */
  async status(options: IoOptions = {}): Promise<FarmStatus | undefined> {
    try {
      return await this.#farm.getStatus({}, { ...options, retry: false, timeoutMs: FIRST_CONTACT_MS });
    } catch (error) {
      if (isIngotError(error, Code.UNIMPLEMENTED)) return undefined;
      if (isIngotError(error, Code.UNAUTHENTICATED)) {
        throw new HintedError(error, 'give your token as INGOT_TOKEN, or its file as --token-file');
      }
      if (!isIngotError(error, Code.UNAVAILABLE)) throw error;
      throw new HintedError(
        error,
        `start a farm on this machine with \`ingot up\`, or name another with --endpoint or INGOT_ENDPOINT`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel.close();
  }
}

function callOptions(version: string): CallOptions {
  return {
    requestMetadata: {
      toolDetails: { toolName: 'ingot', toolVersion: version },
      actionId: '',
      toolInvocationId: randomUUID(),
      correlatedInvocationsId: '',
      actionMnemonic: '',
      targetId: '',
      configurationId: '',
    },
  };
}
