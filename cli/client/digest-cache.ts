import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Digest } from '../../core/digest.ts';
import { type FileFacts, isSameFile } from './file-facts.ts';

/**
 * A file touched less than this before it was hashed may change again without its times showing it: file
 * systems count in steps of up to 2 s (FAT). Such a file is hashed again next time.
 */
const SETTLE_NS = 2_000_000_000n;

/** Most files remembered for one root; about 200 bytes each. */
const ENTRIES_MAX = 200_000;

interface Entry {
  readonly facts: FileFacts;
  readonly digest: Digest;
}

interface DigestCacheOptions {
  /** Folder of all roots' cache files. */
  readonly directory: string;
  /** The input root; each has a file of its own. */
  readonly root: string;
  /** Unix time in nanoseconds. */
  readonly nowNs: () => bigint;
}

/**
 * Digests of files by path, inode, size and times, so that an unchanged tree is not read again. Only a cache:
 * a damaged or absent file of it is as good as an empty one, and the last of two writers wins.
 */
export class DigestCache {
  readonly #options: DigestCacheOptions;
  readonly #file: string;
  readonly #loaded: Map<string, Entry>;
  readonly #fresh = new Map<string, Entry>();

  constructor(options: DigestCacheOptions) {
    this.#options = options;
    this.#file = join(options.directory, `${hash('sha256', options.root).slice(0, 32)}.v1`);
    this.#loaded = load(this.#file);
  }

  /** The digest of a file that looks as it did when it was hashed. */
  lookup(facts: FileFacts): Digest | undefined {
    const entry = this.#fresh.get(facts.path) ?? this.#loaded.get(facts.path);
    return entry !== undefined && isSameFile(entry.facts, facts) ? entry.digest : undefined;
  }

  /** Remembers a digest computed from bytes read after `facts` were taken; not if the file is too fresh. */
  record(facts: FileFacts, digest: Digest): void {
    const nowNs = this.#options.nowNs();
    const isFresh = [facts.modifiedNs, facts.changedNs].some((touchedNs) => nowNs - touchedNs < SETTLE_NS);
    if (isFresh) this.forget(facts.path);
    else this.#fresh.set(facts.path, { facts, digest });
  }

  /** The digest turned out wrong. */
  forget(path: string): void {
    this.#fresh.delete(path);
    this.#loaded.delete(path);
  }

  /** Writes what is new, if anything is; a cache that cannot be written is no failure. */
  async save(): Promise<void> {
    if (this.#fresh.size === 0) return;
    const entries = new Map([
      ...this.#fresh,
      ...[...this.#loaded].filter(([path]) => !this.#fresh.has(path)),
    ]);
    const lines = [...entries.values()].slice(0, ENTRIES_MAX).map(encode);
    const body = lines.join('\n');
    const staged = `${this.#file}.${process.pid}`;
    try {
      await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
      await writeFile(staged, `${hash('sha256', body)}\n${body}`, { mode: 0o600 });
      await rename(staged, this.#file);
    } catch {
      // Without it the next run reads the files again, which is slower and no less right.
      await rm(staged, { force: true }).catch(() => undefined);
    }
  }
}

function encode({ facts, digest }: Entry): string {
  return JSON.stringify([
    facts.path,
    String(facts.device),
    String(facts.inode),
    facts.sizeBytes,
    String(facts.modifiedNs),
    String(facts.changedNs),
    facts.isExecutable ? 1 : 0,
    digest.hash,
    digest.sizeBytes,
  ]);
}

function load(file: string): Map<string, Entry> {
  try {
    const text = readFileSync(file, 'utf8');
    const body = text.slice(text.indexOf('\n') + 1);
    if (hash('sha256', body) !== text.slice(0, text.indexOf('\n'))) return new Map();
    return new Map(body.split('\n').map((line) => decode(JSON.parse(line))));
  } catch {
    // Absent, or not ours: hashing anew is always right.
    return new Map();
  }
}

function decode(
  fields: [string, string, string, number, string, string, number, string, number],
): [string, Entry] {
  const [path, device, inode, sizeBytes, modifiedNs, changedNs, executable, hashHex, digestBytes] = fields;
  const facts: FileFacts = {
    path,
    device: BigInt(device),
    inode: BigInt(inode),
    sizeBytes,
    modifiedNs: BigInt(modifiedNs),
    changedNs: BigInt(changedNs),
    isExecutable: executable === 1,
  };
  return [path, { facts, digest: Digest.of(hashHex, digestBytes) }];
}
