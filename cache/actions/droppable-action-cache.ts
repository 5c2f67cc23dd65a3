import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';

/** An action cache from which a result that turned out to be of no use can be taken. */
export interface DroppableActionCache extends ActionCache {
  /** Removes the result, unless another one was filed since it was got. */
  drop(key: ActionKey, result: ActionResult): Promise<void>;
}
