import { digestFunctions } from '../../core/digest.ts';
import {
  type CacheCapabilities,
  Compressor_Value,
  SymlinkAbsolutePathStrategy_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { announcedFastCdcParams } from '../chunking/fast-cdc-params.ts';
import { BATCH_TOTAL_BYTES_MAX } from './cache-limits.ts';

/** What differs between caches. */
export interface CacheCapabilitiesOptions {
  readonly blobBytesMax: number;
  /** UpdateActionResult is open to callers. */
  readonly updateEnabled: boolean;
}

/** What this cache announces. What is not in here is not there. */
export function cacheCapabilities({
  blobBytesMax,
  updateEnabled,
}: CacheCapabilitiesOptions): CacheCapabilities {
  const { avgBytes, seed } = announcedFastCdcParams;
  return {
    digestFunctions: [...digestFunctions],
    actionCacheUpdateCapabilities: { updateEnabled },
    cachePriorityCapabilities: undefined,
    maxBatchTotalSizeBytes: BATCH_TOTAL_BYTES_MAX,
    symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy_Value.ALLOWED,
    supportedCompressors: [Compressor_Value.ZSTD],
    supportedBatchUpdateCompressors: [Compressor_Value.ZSTD],
    maxCasBlobSizeBytes: blobBytesMax,
    splitBlobSupport: true,
    spliceBlobSupport: true,
    fastCdc2020Params: { avgChunkSizeBytes: avgBytes, seed },
    repMaxCdcParams: undefined,
  };
}
