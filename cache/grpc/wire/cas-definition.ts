import { ContentAddressableStorageDefinition as GeneratedDefinition } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { batchReadRequest } from './batch-read-request.ts';
import { batchReadResponse } from './batch-read-response.ts';
import { batchUpdateRequest } from './batch-update-request.ts';
import { batchUpdateResponse } from './batch-update-response.ts';
import { findMissingRequest } from './find-missing-request.ts';
import { findMissingResponse } from './find-missing-response.ts';

/**
 * ContentAddressableStorage as our servers use it: the generated definition, but the messages that come most often are
 * read and written by hand. See docs/decisions/0011-hand-written-codecs.md.
 */
export const CasDefinition = {
  ...GeneratedDefinition,
  methods: {
    ...GeneratedDefinition.methods,
    findMissingBlobs: {
      ...GeneratedDefinition.methods.findMissingBlobs,
      requestType: findMissingRequest,
      responseType: findMissingResponse,
    },
    batchUpdateBlobs: {
      ...GeneratedDefinition.methods.batchUpdateBlobs,
      requestType: batchUpdateRequest,
      responseType: batchUpdateResponse,
    },
    batchReadBlobs: {
      ...GeneratedDefinition.methods.batchReadBlobs,
      requestType: batchReadRequest,
      responseType: batchReadResponse,
    },
  },
} as const;
export type CasDefinition = typeof CasDefinition;
