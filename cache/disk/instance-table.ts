import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DirectorySync } from '../../core/directory-sync.ts';
import { resourceExhausted } from '../../core/error.ts';
import { fileError, systemCodeOf } from '../../core/file-error.ts';
import { GroupCommit } from '../../core/group-commit.ts';
import type { Logger } from '../../core/log/logger.ts';
import { quote } from '../../core/quote.ts';

/** Instance names of one store; each costs a line in a file, and who may write could make up any number. */
const INSTANCES_MAX = 1000;
/** Two files, so that one that is damaged costs nothing. */
const FILES = ['instances-v1.json', 'instances-v1-copy.json'];

/** What an {@link InstanceTable} depends on. */
export interface InstanceTableDependencies {
  readonly folder: string;
  readonly logger: Logger;
  /** The highest number that records mention: numbers up to it are not given to other names. */
  readonly numberMax: number;
}

/** The numbers that stand for instance names in records and in the index. A number never changes its name. */
export class InstanceTable {
  readonly #folder: string;
  readonly #numbers = new Map<string, number>();
  readonly #making = new Map<string, Promise<number>>();
  #names: (string | null)[];
  readonly #saves = new GroupCommit<string>((names) => this.#add(names));

  private constructor(folder: string, names: (string | null)[]) {
    this.#folder = folder;
    this.#names = names;
    for (const [number, name] of names.entries()) if (name !== null) this.#numbers.set(name, number);
  }

  /** Reads the table; what cannot be read costs the blobs of other instances than the default one, said in the log. */
  static async open({ folder, logger, numberMax }: InstanceTableDependencies): Promise<InstanceTable> {
    let names: (string | null)[] | undefined;
    for (const file of FILES) names ??= await namesIn(join(folder, file));
    if (names === undefined && numberMax > 0) {
      logger.error(
        { numbers: numberMax },
        'the table of instance names is damaged: blobs of named instances are lost',
      );
    }
    names ??= [''];
    while (names.length <= numberMax) names.push(null);
    return new InstanceTable(folder, names);
  }

  /** All names that something was stored under. */
  get names(): readonly string[] {
    return [...this.#numbers.keys()];
  }

  /** The name's number, or undefined for one under which nothing was ever stored. */
  numberOf(name: string): number | undefined {
    return this.#numbers.get(name);
  }

  /** The name's number, given and written down if need be; RESOURCE_EXHAUSTED when there are too many. */
  async numberFor(name: string): Promise<number> {
    const known = this.#numbers.get(name) ?? this.#making.get(name);
    if (known !== undefined) return known;
    const making = this.#make(name).finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  /** Names that come together are written down together. */
  async #make(name: string): Promise<number> {
    await this.#saves.submit(name);
    const number = this.#numbers.get(name);
    if (number !== undefined) return number;
    throw resourceExhausted(
      `instance name ${quote(name)}: blobs of ${INSTANCES_MAX} instances are stored, the most that is accepted`,
    );
  }

  async #add(added: readonly string[]): Promise<void> {
    const names = [...this.#names, ...added].slice(0, INSTANCES_MAX);
    if (names.length === this.#names.length) return;
    await save(this.#folder, names);
    for (let number = this.#names.length; number < names.length; number++) {
      this.#numbers.set(names[number] as string, number);
    }
    this.#names = names;
  }
}

async function save(folder: string, names: readonly (string | null)[]): Promise<void> {
  const text = JSON.stringify(names);
  try {
    await using directories = new DirectorySync();
    for (const file of FILES) {
      const path = join(folder, file);
      await writeFile(`${path}.new`, `${crc32(text)} ${text}\n`, { flush: true });
      await rename(`${path}.new`, path);
      await directories.sync(folder);
    }
  } catch (error) {
    throw fileError(error, 'Write down an instance name');
  }
}

async function namesIn(path: string): Promise<(string | null)[] | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const [, sum, json = ''] = /^([0-9]+) (.*)\n$/.exec(text) ?? [];
  return Number(sum) === crc32(json) ? JSON.parse(json) : undefined;
}
