import { throwIfAborted } from '../../core/abort.ts';
import { invalidArgument } from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionKey } from '../action-cache.ts';
import type { DroppableActionCache } from './droppable-action-cache.ts';
import { FiledResult } from './filed-result.ts';
import type { LevelRecords } from './level-records.ts';

/** Largest encoded result: with it, an answer still fits a gRPC message of the default 4 MiB. */
export const ACTION_RESULT_BYTES_MAX = 4 * 1024 * 1024 - 64 * 1024;

/** Where a process can be made to die while it files a result, in order. */
export const actionCacheFailPoints = ['ac.before_put', 'ac.after_put'] as const;

/** What a {@link LevelActionCache} depends on. */
export interface LevelActionCacheDependencies {
  readonly records: LevelRecords;
  readonly logger: Logger;
  readonly failPoints?: FailPoints;
}

/**
 * Action results in Level, by instance name, digest function and hash. The size of the action is no part of the key:
 * the hash settles it, and HTTP clients do not know it. Says nothing of the blobs a result names.
 */
export class LevelActionCache implements DroppableActionCache {
  readonly #records: LevelRecords;
  readonly #logger: Logger;
  readonly #failPoints: FailPoints;

  constructor({ records, logger, failPoints = noFailPoints }: LevelActionCacheDependencies) {
    this.#records = records;
    this.#logger = logger;
    this.#failPoints = failPoints;
  }

  async get(key: ActionKey, { signal }: IoOptions = {}): Promise<ActionResult | undefined> {
    throwIfAborted(signal);
    const bytes = await this.#records.get(recordKey(key));
    if (bytes === undefined) return undefined;
    try {
      return new FiledResult(bytes);
    } catch (error) {
      this.#logger.error({ action: key.actionDigest.toString(), error }, 'a record is no action result');
      return undefined;
    }
  }

  async put(key: ActionKey, result: ActionResult, { signal }: IoOptions = {}): Promise<void> {
    throwIfAborted(signal);
    const bytes = ActionResult.encode(result).finish();
    if (bytes.byteLength > ACTION_RESULT_BYTES_MAX) {
      throw invalidArgument(
        `Put result of action ${key.actionDigest}: it has ${bytes.byteLength} bytes, at most ${ACTION_RESULT_BYTES_MAX} are accepted`,
      );
    }
    this.#failPoints.pass('ac.before_put');
    await this.#records.put(recordKey(key), bytes);
    this.#failPoints.pass('ac.after_put');
  }

  async drop(key: ActionKey, result: ActionResult): Promise<void> {
    const encoded = result instanceof FiledResult ? result.encoded : ActionResult.encode(result).finish();
    await this.#records.drop(recordKey(key), encoded);
  }
}

/** An instance name has no NUL in it. */
function recordKey({ instanceName, actionDigest: { digestFunction, hash } }: ActionKey): string {
  return `action\0${instanceName}\0${digestFunction}-${hash}`;
}
