import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Level } from 'level';
import { openRecord, sealRecord } from '../cache/actions/record-checksum.ts';
import { failedPrecondition, type IngotError, internal } from '../core/error.ts';
import { diskFull } from '../core/file-error.ts';
import { GroupCommit } from '../core/group-commit.ts';
import type { Logger } from '../core/log/logger.ts';
import { OperationRecord } from '../proto/gen/ingot/v1/journal.ts';
import type { Journal } from './journal.ts';

/** What {@link LevelJournal} depends on. */
export interface LevelJournalDependencies {
  /** Made when absent; one process at a time. */
  readonly folder: string;
  readonly logger: Logger;
}

interface Change {
  readonly puts: readonly OperationRecord[];
  readonly deletedNames: readonly string[];
}

type Database = Level<string, Buffer>;

/**
 * The journal in a LevelDB, each record with a checksum. A damaged database is repaired, which is logged; clients whose
 * operations are lost with it execute them again. After a failed write it is opened anew: LevelDB by itself refuses
 * every write from then on, long after a full disk has room again.
 */
export class LevelJournal implements Journal {
  readonly #dependencies: LevelJournalDependencies;
  readonly #changes: GroupCommit<Change>;
  #database: Database | undefined;

  private constructor(dependencies: LevelJournalDependencies, database: Database) {
    this.#dependencies = dependencies;
    this.#database = database;
    this.#changes = new GroupCommit((changes) => this.#write(changes));
  }

  /** FAILED_PRECONDITION when another process has it open, or it can be neither opened nor repaired. */
  static async open(dependencies: LevelJournalDependencies): Promise<LevelJournal> {
    await mkdir(dirname(dependencies.folder), { recursive: true });
    return new LevelJournal(dependencies, await openOrRepair(dependencies));
  }

  async *load(): AsyncGenerator<OperationRecord, void, undefined> {
    const { logger, folder } = this.#dependencies;
    const database = await this.#opened();
    try {
      for await (const [name, bytes] of database.iterator()) {
        const record = decode(name, bytes);
        if (record !== undefined) yield record;
        else
          logger.error({ operation: name, bytes: bytes.byteLength }, 'a damaged journal record is skipped');
      }
    } catch (error) {
      throw internal(`Load journal ${folder}: the database failed`, { cause: error });
    }
  }

  async commit(puts: readonly OperationRecord[], deletedNames: readonly string[]): Promise<void> {
    await this.#changes.submit({ puts, deletedNames });
  }

  async close(): Promise<void> {
    await this.#changes.idle();
    await this.#database?.close();
    this.#database = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #write(changes: readonly Change[]): Promise<void> {
    const values = new Map<string, Buffer | undefined>();
    for (const { puts, deletedNames } of changes) {
      for (const record of puts) values.set(record.name, encode(record));
      for (const name of deletedNames) values.set(name, undefined);
    }
    const database = await this.#opened();
    try {
      await database.batch(
        [...values].map(([key, value]) =>
          value === undefined ? { type: 'del', key } : { type: 'put', key, value },
        ),
        { sync: true },
      );
    } catch (error) {
      this.#database = undefined;
      await database.close().catch((closeError) => {
        this.#dependencies.logger.warn(
          { error: closeError },
          'the journal did not close after a failed write',
        );
      });
      throw writeError(error, this.#dependencies.folder);
    }
  }

  async #opened(): Promise<Database> {
    const { folder } = this.#dependencies;
    try {
      this.#database ??= await openDatabase(folder);
    } catch (error) {
      throw writeError(error, folder);
    }
    return this.#database;
  }
}

function encode(record: OperationRecord): Buffer {
  return sealRecord(record.name, OperationRecord.encode(record).finish());
}

function decode(name: string, bytes: Buffer): OperationRecord | undefined {
  const value = openRecord(name, bytes);
  if (value === undefined) return undefined;
  try {
    return OperationRecord.decode(value);
  } catch {
    // The checksum holds, so a later version wrote it in another form: for this one it is as good as damaged.
    return undefined;
  }
}

async function openDatabase(folder: string): Promise<Database> {
  const database: Database = new Level(folder, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  await database.open();
  return database;
}

async function openOrRepair({ folder, logger }: LevelJournalDependencies): Promise<Database> {
  try {
    return await openDatabase(folder);
  } catch (error) {
    if (!isDamage(error)) throw openError(error, folder);
    logger.error({ folder, error }, 'the journal is damaged; repairing it');
  }
  try {
    await repair(folder);
    const database = await openDatabase(folder);
    logger.warn({ folder }, 'the journal was repaired; operations may have been lost');
    return database;
  } catch (error) {
    throw openError(error, folder);
  }
}

/** Missing files and wrong contents; a full disk or want of permission is none, and repairing then would be harm. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && /corruption|no such file/i.test(causeOf(error).message);
}

/** On Node `Level` is classic-level's class, whose static methods its own types do not show. */
async function repair(folder: string): Promise<void> {
  await (Level as unknown as { repair(location: string): Promise<void> }).repair(folder);
}

/** What LevelDB itself said. */
function causeOf(error: Error): Error {
  return error.cause instanceof Error ? error.cause : error;
}

function openError(error: unknown, folder: string): IngotError {
  if (!(error instanceof Error))
    return internal(`Open journal ${folder}: the database failed`, { cause: error });
  const cause = causeOf(error);
  if ('code' in cause && cause.code === 'LEVEL_LOCKED') {
    return failedPrecondition(`Open journal ${folder}: another process has it open`, { cause: error });
  }
  return failedPrecondition(`Open journal ${folder}: ${cause.message}; moved away, it is begun anew`, {
    cause: error,
  });
}

function writeError(error: unknown, folder: string): IngotError {
  // LevelDB has no code of its own for a full disk, only the system's words.
  if (error instanceof Error && /no space left|quota exceeded/i.test(causeOf(error).message)) {
    return diskFull(error, `Write journal ${folder}`);
  }
  return internal(`Write journal ${folder}: the database failed`, { cause: error });
}
