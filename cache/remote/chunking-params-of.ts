import type { CacheCapabilities } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { type FastCdcParams, fastCdcParams } from '../chunking/fast-cdc-params.ts';

/**
 * How a server with these capabilities wants large blobs cut; undefined when it does not announce SpliceBlob with
 * FastCDC 2020, or with parameters that REAPI does not allow.
 */
export function chunkingParamsOf(capabilities: CacheCapabilities | undefined): FastCdcParams | undefined {
  const announced = capabilities?.fastCdc2020Params;
  if (capabilities?.spliceBlobSupport !== true || announced === undefined) return undefined;
  return fastCdcParams(announced.avgChunkSizeBytes, announced.seed);
}
