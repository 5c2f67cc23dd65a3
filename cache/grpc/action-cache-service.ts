import { Digest } from '../../core/digest.ts';
import { type IngotError, invalidArgument, isIngotError, notFound } from '../../core/error.ts';
import type { ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { checkActionResult } from '../actions/check-action-result.ts';
import { checkUpdateEnabled } from '../actions/check-update-enabled.ts';
import { blobOptionsOf } from './blob-options.ts';
import { goesAsItIs } from './goes-as-it-is.ts';
import { inlineOutputs } from './inline-outputs.ts';
import type { InstanceStoresOf } from './instance-stores.ts';
import type { ActionCacheDefinition } from './wire/action-cache-definition.ts';

/** What the ActionCache service depends on. */
export interface ActionCacheServiceDependencies {
  readonly storesOf: InstanceStoresOf;
  /** Clients may file results of their own. */
  readonly updateEnabled: boolean;
}

/** The action cache of each instance. */
export function actionCacheService({
  storesOf,
  updateEnabled,
}: ActionCacheServiceDependencies): ServiceImplementation<ActionCacheDefinition> {
  return {
    async getActionResult(request, context) {
      const { instanceName, digestFunction } = request;
      const { actionCache, blobStore: store } = storesOf(instanceName, context.caller);
      const options = blobOptionsOf(context);
      const actionDigest = Digest.fromMessage(request.actionDigest, digestFunction);
      const result = await actionCache.get({ instanceName, actionDigest }, options);
      if (result === undefined) throw miss(actionDigest);
      try {
        if (goesAsItIs(result, request)) return result;
        const { digestFunction: ofAction } = actionDigest;
        return await inlineOutputs(result, request, { ...options, store, digestFunction: ofAction });
      } catch (error) {
        // A blob of it was found to be damaged just now, so it is no hit any more.
        if (isIngotError(error, Code.NOT_FOUND) || isIngotError(error, Code.DATA_LOSS))
          throw miss(actionDigest);
        throw error;
      }
    },
    async updateActionResult(request, context) {
      const { instanceName, digestFunction, actionResult } = request;
      const { actionCache } = storesOf(instanceName, context.caller);
      checkUpdateEnabled('UpdateActionResult', updateEnabled);
      const actionDigest = Digest.fromMessage(request.actionDigest, digestFunction);
      if (actionResult === undefined) throw invalidArgument('UpdateActionResult: action result is missing');
      checkActionResult(actionResult, actionDigest.digestFunction);
      await actionCache.put({ instanceName, actionDigest }, actionResult, blobOptionsOf(context));
      return actionResult;
    },
  };
}

function miss(actionDigest: Digest): IngotError {
  return notFound(`no result of action ${actionDigest} is cached`);
}
