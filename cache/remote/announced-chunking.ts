import type { IoOptions } from '../../core/io-options.ts';
import type { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import { CapabilitiesDefinition } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { FastCdcParams } from '../chunking/fast-cdc-params.ts';
import { chunkingParamsOf } from './chunking-params-of.ts';

/** What {@link announcedChunking} asks. */
export interface AnnouncedChunkingOptions {
  readonly channel: Pick<RpcChannel, 'client'>;
  readonly instanceName: string;
}

/** How the server on the other side wants large blobs cut, asked once, when it is first needed. */
export function announcedChunking({
  channel,
  instanceName,
}: AnnouncedChunkingOptions): (options?: IoOptions) => Promise<FastCdcParams | undefined> {
  const client: ServiceClient<CapabilitiesDefinition> = channel.client(CapabilitiesDefinition);
  let answer: { readonly params: FastCdcParams | undefined } | undefined;
  return async ({ signal } = {}) => {
    if (answer === undefined) {
      const { cacheCapabilities } = await client.getCapabilities({ instanceName }, { signal });
      answer = { params: chunkingParamsOf(cacheCapabilities) };
    }
    return answer.params;
  };
}
