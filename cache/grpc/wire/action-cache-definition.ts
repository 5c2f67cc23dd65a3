import { ActionCacheDefinition as GeneratedDefinition } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { actionResultResponse } from './action-result-response.ts';

/** ActionCache as our servers use it: the generated definition, but results are sent as they were filed. */
export const ActionCacheDefinition = {
  ...GeneratedDefinition,
  methods: {
    ...GeneratedDefinition.methods,
    getActionResult: {
      ...GeneratedDefinition.methods.getActionResult,
      responseType: actionResultResponse,
    },
  },
} as const;
export type ActionCacheDefinition = typeof ActionCacheDefinition;
