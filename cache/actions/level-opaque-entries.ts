import { Digest } from '../../core/digest.ts';
import { Digest as DigestMessage } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { LevelRecords } from './level-records.ts';
import type { OpaqueEntries, OpaqueKey, OpaqueListed } from './opaque-entries.ts';

/** Where entries are: `opaque` holds those of /ac, `webdav` those of /webdav. */
export type OpaqueKeySpace = 'opaque' | 'webdav';

/** The characters after the slash, and after the NUL before a name: where the names of a folder end. */
const AFTER_SLASH = '0';
const AFTER_NUL = '\x01';

/** Opaque entries in Level, each key space by itself beside the action results. */
export class LevelOpaqueEntries implements OpaqueEntries {
  readonly #records: LevelRecords;
  readonly #keySpace: OpaqueKeySpace;

  constructor(records: LevelRecords, keySpace: OpaqueKeySpace) {
    this.#records = records;
    this.#keySpace = keySpace;
  }

  async get(key: OpaqueKey): Promise<Digest | undefined> {
    const bytes = await this.#records.get(this.#recordKey(key));
    return bytes === undefined ? undefined : decode(bytes);
  }

  async put(key: OpaqueKey, digest: Digest): Promise<void> {
    await this.#records.put(this.#recordKey(key), encode(digest));
  }

  async drop(key: OpaqueKey, digest: Digest): Promise<void> {
    await this.#records.drop(this.#recordKey(key), encode(digest));
  }

  async *list(folder: OpaqueKey): AsyncGenerator<OpaqueListed, void, undefined> {
    const start = this.#recordKey(folder);
    const end = start.slice(0, -1) + (folder.name === '' ? AFTER_NUL : AFTER_SLASH);
    for (let from = start; ; ) {
      const record = await this.#records.first({ from, before: end });
      if (record === undefined) return;
      const [name = '', ...deeper] = record.key.slice(start.length).split('/');
      if (deeper.length === 0) {
        yield { name, digest: decode(record.value) };
        from = `${record.key}\0`;
      } else {
        yield { name: `${name}/`, digest: undefined };
        from = `${start}${name}${AFTER_SLASH}`;
      }
    }
  }

  /** An instance name has no NUL in it. */
  #recordKey({ instanceName, name }: OpaqueKey): string {
    return `${this.#keySpace}\0${instanceName}\0${name}`;
  }
}

function encode(digest: Digest): Uint8Array {
  return DigestMessage.encode(digest.toMessage()).finish();
}

function decode(bytes: Uint8Array): Digest {
  return Digest.fromMessage(DigestMessage.decode(bytes));
}
