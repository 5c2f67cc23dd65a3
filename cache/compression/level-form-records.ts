import { Digest } from '../../core/digest.ts';
import { Digest as DigestMessage } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { LevelRecords } from '../actions/level-records.ts';
import type { FormRecord, FormRecords } from './form-records.ts';

/** The digest of no blob: what is filed for one that does not compress. */
const INCOMPRESSIBLE = new Uint8Array();

/** Records of compressed forms in Level, in a key space of their own beside the action results. */
export class LevelFormRecords implements FormRecords {
  readonly #records: LevelRecords;

  constructor(records: LevelRecords) {
    this.#records = records;
  }

  async get(digest: Digest): Promise<FormRecord | undefined> {
    const bytes = await this.#records.get(recordKey(digest));
    if (bytes === undefined) return undefined;
    return bytes.byteLength === 0 ? 'incompressible' : Digest.fromMessage(DigestMessage.decode(bytes));
  }

  async put(digest: Digest, record: FormRecord): Promise<void> {
    const value =
      record === 'incompressible' ? INCOMPRESSIBLE : DigestMessage.encode(record.toMessage()).finish();
    await this.#records.put(recordKey(digest), value);
  }
}

function recordKey(digest: Digest): string {
  return `zstd\0${digest.key}`;
}
