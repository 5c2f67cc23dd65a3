import { isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { collectBytes } from '../../core/streams.ts';
import { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionKey } from '../action-cache.ts';
import { ACTION_RESULT_BYTES_MAX } from '../actions/level-action-cache.ts';
import { openRecord, sealRecord } from '../actions/record-checksum.ts';
import type { ObjectNames } from './object-names.ts';
import type { ObjectBody, ObjectStore } from './object-store.ts';
import type { TierNumbers } from './tier-numbers.ts';

/** Room for the checksum in front of a result. */
const OBJECT_BYTES_MAX = ACTION_RESULT_BYTES_MAX + 1024;

/** What a {@link ResultTier} depends on. */
export interface ResultTierDependencies {
  readonly store: ObjectStore;
  readonly names: ObjectNames;
  readonly numbers: TierNumbers;
  readonly logger: Logger;
}

/**
 * The action results of the object store, each with a checksum of its own. A damaged one, and any while the object
 * store does not answer, is absent: the action runs again, and its result is filed anew.
 */
export class ResultTier {
  readonly #dependencies: ResultTierDependencies;

  constructor(dependencies: ResultTierDependencies) {
    this.#dependencies = dependencies;
  }

  async get(key: ActionKey, { signal }: IoOptions = {}): Promise<ActionResult | undefined> {
    const { store, names, numbers, logger } = this.#dependencies;
    const name = names.result(key.instanceName, key.actionDigest);
    try {
      const body = await store.get(name, { signal });
      const sealed = body === undefined ? undefined : await collected(body);
      if (sealed === undefined) return undefined;
      const bytes = openRecord(checksumKey(key), sealed);
      if (bytes === undefined) {
        numbers.damaged += 1;
        logger.error({ key: name }, 'an action result in the object store is damaged, and taken for absent');
        return undefined;
      }
      numbers.fetched += 1;
      numbers.fetchedBytes += bytes.byteLength;
      return ActionResult.decode(bytes);
    } catch (error) {
      if (signal?.aborted || !isIngotError(error)) throw error;
      numbers.unanswered += 1;
      logger.debug({ error }, 'taken for absent, since the object store does not answer');
      return undefined;
    }
  }

  /** The object of a result: its name and its bytes. */
  objectOf(key: ActionKey, result: ActionResult): { readonly name: string; readonly bytes: Buffer } {
    const { names } = this.#dependencies;
    const bytes = sealRecord(checksumKey(key), ActionResult.encode(result).finish());
    return { name: names.result(key.instanceName, key.actionDigest), bytes };
  }
}

/** The prefix is no part of it: a bucket may be moved. */
function checksumKey({ instanceName, actionDigest: { digestFunction, hash } }: ActionKey): string {
  return `${instanceName}\0${digestFunction}-${hash}`;
}

async function collected(body: ObjectBody): Promise<Uint8Array> {
  // One that is too long is damaged, and its beginning shows that as well as the whole.
  if (body.sizeBytes <= OBJECT_BYTES_MAX) {
    return await collectBytes(body.bytes, { bytesMax: OBJECT_BYTES_MAX, what: 'an action result' });
  }
  body.close();
  return new Uint8Array();
}
