import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { failedPrecondition, type IngotError, internal } from '../../core/error.ts';
import { diskFull } from '../../core/file-error.ts';
import { GroupCommit } from '../../core/group-commit.ts';
import type { Logger } from '../../core/log/logger.ts';
import { openRecord, sealRecord } from './record-checksum.ts';

/** Recently read blocks kept in memory. */
const CACHE_BYTES = 16 * 1024 * 1024;
/** Room that must be there before a database whose write failed is opened anew: it writes its log out as a table then. */
const REOPENING_BYTES = 5 * 1024 * 1024;

type Database = Level<string, Buffer>;

/** A change to the records: a new value, or the end of a record, whatever its value or if it still is the one given. */
type Change =
  | { readonly key: string; readonly value: Uint8Array }
  | { readonly key: string; readonly droppedIf: Uint8Array }
  | { readonly key: string; readonly removed: true };

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: string };

/** A range of keys, in the order of their UTF-8. */
export interface KeyRange {
  readonly from: string;
  /** The first key that is not part of it. */
  readonly before: string;
}

/** A record as it is found in a range. */
export interface StoredRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** What {@link LevelRecords} depends on. */
export interface LevelRecordsDependencies {
  /** Made when absent; one process at a time. */
  readonly folder: string;
  readonly logger: Logger;
}

/**
 * Small values by key in a LevelDB, each with a checksum. A change is durable when it resolves; changes under way
 * share one sync. A damaged record is logged and absent. After a failed write the database is opened anew before the
 * next one: its log may end in half a record, behind which LevelDB would go on to write, and at its next start drop,
 * what it acknowledges.
 */
export class LevelRecords implements AsyncDisposable {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #changes: GroupCommit<Change>;
  #database: Promise<Database>;
  #isSound = true;

  private constructor({ folder, logger }: LevelRecordsDependencies, database: Database) {
    this.#folder = folder;
    this.#logger = logger;
    this.#database = Promise.resolve(database);
    this.#changes = new GroupCommit((changes) => this.#apply(changes));
  }

  /**
   * Opens the database; FAILED_PRECONDITION when it is in use. One so damaged that it cannot be opened is set aside and
   * begun anew, empty: a repair could bring back values that were replaced since.
   */
  static async open(dependencies: LevelRecordsDependencies): Promise<LevelRecords> {
    return new LevelRecords(dependencies, await openOrBegin(dependencies));
  }

  /** The value, or undefined. */
  async get(key: string): Promise<Uint8Array | undefined> {
    let record: Buffer | undefined;
    try {
      record = await (await this.#database).get(key);
    } catch (error) {
      if (isDamage(error)) {
        this.#logger.error({ key, error }, 'a record in a damaged part of the database is taken for absent');
        return undefined;
      }
      throw internal('Read a record: the database failed', { cause: error });
    }
    if (record === undefined) return undefined;
    const value = openRecord(key, record);
    if (value === undefined) {
      this.#logger.error({ key, recordBytes: record.byteLength }, 'a damaged record is taken for absent');
    }
    return value;
  }

  /** The first sound record of a range of keys, or undefined; damaged ones are passed over. */
  async first({ from, before }: KeyRange): Promise<StoredRecord | undefined> {
    const database = await this.#database;
    try {
      for await (const [key, record] of database.iterator({ gte: from, lt: before, highWaterMarkBytes: 0 })) {
        const value = openRecord(key, record);
        if (value !== undefined) return { key, value };
      }
    } catch (error) {
      throw internal('List records: the database failed', { cause: error });
    }
    return undefined;
  }

  /** Files the value in place of an older one. */
  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#changes.submit({ key, value });
  }

  /** Removes the record, unless it has another value by now than the one it was judged by. */
  async drop(key: string, value: Uint8Array): Promise<void> {
    await this.#changes.submit({ key, droppedIf: value });
  }

  /** Removes the record, if there is one. */
  async remove(key: string): Promise<void> {
    await this.#changes.submit({ key, removed: true });
  }

  /** The keys that begin with the prefix, in order; those of damaged records too. */
  async *keys(prefix: string): AsyncGenerator<string, void, undefined> {
    try {
      for await (const key of (await this.#database).keys({ gte: prefix })) {
        if (!key.startsWith(prefix)) return;
        yield key;
      }
    } catch (error) {
      throw internal('List the records: the database failed', { cause: error });
    }
  }

  /** Waits for changes under way and closes the database. */
  async close(): Promise<void> {
    await this.#changes.idle();
    // One that could not be opened anew needs no closing, and was logged.
    const database = await this.#database.catch(() => undefined);
    await database?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #apply(changes: readonly Change[]): Promise<void> {
    try {
      if (!this.#isSound) await this.#reopen();
      const database = await this.#database;
      const operations = await operationsOf(changes, database);
      this.#isSound = false;
      await database.batch(operations, { sync: true });
      this.#isSound = true;
    } catch (error) {
      throw writeError(error);
    }
  }

  /** Reads go on with the old database while there is no room for the new one, and wait while it is opened. */
  async #reopen(): Promise<void> {
    const probe = join(this.#folder, 'probe');
    try {
      await writeFile(probe, Buffer.alloc(REOPENING_BYTES));
    } finally {
      await rm(probe, { force: true });
    }
    this.#database = this.#database
      .then(
        (database) => database.close(),
        () => undefined,
      )
      .then(() => openOrBegin({ folder: this.#folder, logger: this.#logger }));
    await this.#database.catch((error) => {
      this.#logger.error({ error }, 'the database could not be opened anew after a failed write');
      throw error;
    });
    this.#isSound = true;
    this.#logger.info({}, 'the database was opened anew after a failed write');
  }
}

async function openOrBegin({ folder, logger }: LevelRecordsDependencies): Promise<Database> {
  try {
    return await openDatabase(folder);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const setAside = `${folder}.damaged`;
    await rm(setAside, { recursive: true, force: true });
    await rename(folder, setAside);
    logger.error(
      { error, folder, setAside },
      'the database is damaged: it was set aside, and is begun anew, empty',
    );
    return await openDatabase(folder);
  }
}

/** LevelDB says so of files that are missing, cut or changed. */
function isDamage(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!('code' in cause)) continue;
    if (cause.code === 'LEVEL_CORRUPTION') return true;
    if (cause.code === 'LEVEL_IO_ERROR' && cause.message.includes('No such file')) return true;
  }
  return false;
}

async function openDatabase(folder: string): Promise<Database> {
  const database: Database = new Level(folder, {
    keyEncoding: 'utf8',
    valueEncoding: 'buffer',
    cacheSize: CACHE_BYTES,
  });
  try {
    await database.open();
  } catch (error) {
    throw openError(error, folder);
  }
  return database;
}

/** What the changes come to, those of one key in their order. */
async function operationsOf(changes: readonly Change[], database: Database): Promise<Operation[]> {
  const operations = new Map<string, Operation>();
  for (const change of changes) {
    const { key } = change;
    if ('value' in change) {
      operations.set(key, { type: 'put', key, value: sealRecord(key, change.value) });
      continue;
    }
    if ('removed' in change) {
      operations.set(key, { type: 'del', key });
      continue;
    }
    const earlier = operations.get(key);
    const record = earlier?.type === 'put' ? earlier.value : await database.get(key);
    if (record?.equals(sealRecord(key, change.droppedIf))) operations.set(key, { type: 'del', key });
  }
  return [...operations.values()];
}

function openError(error: unknown, folder: string): IngotError {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const why = code === 'LEVEL_LOCKED' ? 'another process has it open' : 'it cannot be read';
  return failedPrecondition(`Open database ${folder}: ${why}`, { cause: error });
}

function writeError(error: unknown): IngotError {
  // LevelDB has no code of its own for a full disk, only the system's words.
  if (error instanceof Error && /no space left|quota exceeded/i.test(error.message)) {
    return diskFull(error, 'Write a record');
  }
  return internal('Write a record: the database failed', { cause: error });
}
