import type { ActionCache, ActionKey } from '../../cache/action-cache.ts';
import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** An action cache in memory, for tests of what stands on one. It can be made to fail. */
export class MemoryActionCache implements ActionCache {
  readonly #results = new Map<string, ActionResult>();
  /** Thrown by every method while set. */
  failure: Error | undefined;

  get size(): number {
    return this.#results.size;
  }

  async get(key: ActionKey): Promise<ActionResult | undefined> {
    if (this.failure !== undefined) throw this.failure;
    return this.#results.get(nameOf(key));
  }

  async put(key: ActionKey, result: ActionResult): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.#results.set(nameOf(key), result);
  }
}

function nameOf({ instanceName, actionDigest }: ActionKey): string {
  return `${instanceName} ${actionDigest.key}`;
}
