import { ContentAddressableStorageDefinition as GeneratedDefinition } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { findMissingRequest } from './find-missing-request.ts';
import { findMissingResponse } from './find-missing-response.ts';

/**
 * ContentAddressableStorage as our servers use it: the generated definition, but the messages that come most often are
 * read and written by hand. See docs/decisions/hand-written-codecs.md.
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
  },
} as const;
export type CasDefinition = typeof CasDefinition;
