import { Digest } from '../../core/digest.ts';
import { Digest as DigestMessage } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { LevelRecords } from './level-records.ts';
import type { OpaqueEntries, OpaqueKey } from './opaque-entries.ts';

/** Opaque entries in Level, in a key space of their own beside the action results. */
export class LevelOpaqueEntries implements OpaqueEntries {
  readonly #records: LevelRecords;

  constructor(records: LevelRecords) {
    this.#records = records;
  }

  async get(key: OpaqueKey): Promise<Digest | undefined> {
    const bytes = await this.#records.get(recordKey(key));
    return bytes === undefined ? undefined : Digest.fromMessage(DigestMessage.decode(bytes));
  }

  async put(key: OpaqueKey, digest: Digest): Promise<void> {
    await this.#records.put(recordKey(key), encode(digest));
  }

  async drop(key: OpaqueKey, digest: Digest): Promise<void> {
    await this.#records.drop(recordKey(key), encode(digest));
  }
}

function encode(digest: Digest): Uint8Array {
  return DigestMessage.encode(digest.toMessage()).finish();
}

/** An instance name has no NUL in it. */
function recordKey({ instanceName, name }: OpaqueKey): string {
  return `opaque\0${instanceName}\0${name}`;
}
