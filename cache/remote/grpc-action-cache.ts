import { isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import {
  ActionCacheDefinition,
  type ActionResult,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';

/** What a {@link GrpcActionCache} depends on. */
export interface GrpcActionCacheDependencies {
  readonly channel: Pick<RpcChannel, 'client'>;
}

/** An action cache on the other side of a REAPI connection; it checks completeness there. */
export class GrpcActionCache implements ActionCache {
  readonly #client: ServiceClient<ActionCacheDefinition>;

  constructor({ channel }: GrpcActionCacheDependencies) {
    this.#client = channel.client(ActionCacheDefinition);
  }

  async get(
    { instanceName, actionDigest }: ActionKey,
    { signal }: IoOptions = {},
  ): Promise<ActionResult | undefined> {
    try {
      return await this.#client.getActionResult(
        {
          instanceName,
          actionDigest: actionDigest.toMessage(),
          digestFunction: actionDigest.digestFunction,
          inlineStdout: false,
          inlineStderr: false,
          inlineOutputFiles: [],
        },
        { signal },
      );
    } catch (error) {
      if (isIngotError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    }
  }

  async put(
    { instanceName, actionDigest }: ActionKey,
    actionResult: ActionResult,
    { signal }: IoOptions = {},
  ): Promise<void> {
    await this.#client.updateActionResult(
      {
        instanceName,
        actionDigest: actionDigest.toMessage(),
        digestFunction: actionDigest.digestFunction,
        actionResult,
        resultsCachePolicy: undefined,
      },
      { signal },
    );
  }
}
