import { createHash, type Hash } from 'node:crypto';
import { type BigIntStats, createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { walkHostTree } from '../../core/toolchain/host-tree.ts';
import { imageEtcPaths } from './host-image.ts';

/** Part of the hash, so that a change of what goes into it changes every identity. */
const FORMAT = 'ingot host image 1';
/** How many digits name an image in a platform property. */
const DIGITS = 12;
const LSTATS_AT_ONCE = 8;

/** Says which packages are installed, in all their versions; the first one there is read. */
const PACKAGE_DATABASES = [
  'var/lib/dpkg/status',
  'lib/apk/db/installed',
  'usr/lib/sysimage/rpm/rpmdb.sqlite',
  'var/lib/rpm/rpmdb.sqlite',
  'var/lib/rpm/Packages',
];
/** Looked at file by file: what no package manager knows of, and the insides of compilers. */
const DEEP_FOLDERS = ['usr/local', 'usr/lib/gcc', 'usr/libexec/gcc'];
/** Only the entries themselves: where a program or library put there by hand would be. */
const SHALLOW_FOLDERS = ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'usr/include', 'usr/libexec'];
/** The same in folders such as `usr/lib/x86_64-linux-gnu`. */
const MULTIARCH = /^[a-z0-9_]+-linux-[a-z0-9]+$/;

/**
 * Names the host as an image: `host-0123456789ab`. Changes when the compiler, the C library, any package, or anything
 * in /usr/local does; the same on machines set up alike. Reads no program: sizes and times tell, 0.3 s in all.
 */
export async function identifyHostImage(machineRoot = '/', options: IoOptions = {}): Promise<string> {
  const hash = createHash('sha256').update(`${FORMAT}\n${process.arch}\n`);
  hash.update(await readFile(join(machineRoot, 'etc/os-release'), 'utf8').catch(() => 'no os-release'));
  const hasDatabase = await hashPackages(hash, machineRoot);
  await hashEtc(hash, join(machineRoot, 'etc'));
  for (const folder of await shallowFolders(machineRoot)) {
    await hashEntries(hash, machineRoot, folder, options);
  }
  const deep = hasDatabase ? DEEP_FOLDERS : ['usr'];
  for await (const { path, stats, absolutePath } of walkHostTree(machineRoot, deep, options)) {
    // Compiled Python appears when someone runs a program; its source is in the hash.
    if (path.includes('/__pycache__')) continue;
    hash.update(`${path}\0${await factsOf(stats, absolutePath)}\n`);
  }
  return `host-${hash.digest('hex').slice(0, DIGITS)}`;
}

async function hashPackages(hash: Hash, machineRoot: string): Promise<boolean> {
  for (const database of PACKAGE_DATABASES) {
    const path = join(machineRoot, database);
    if ((await lstat(path).catch(() => undefined)) === undefined) continue;
    hash.update(`${database}\n`);
    if (database === 'var/lib/dpkg/status') hash.update(dpkgVersions(await readFile(path, 'utf8')));
    else for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
    return true;
  }
  return false;
}

/** Of dpkg's paragraphs only what names a package and its version: the rest differs between equal machines. */
function dpkgVersions(status: string): string {
  const wanted = /^(?:Package|Version|Architecture|Status): .*$/gm;
  const packages = status.split('\n\n').map((paragraph) => (paragraph.match(wanted) ?? []).sort().join('\t'));
  return packages.sort().join('\n');
}

async function hashEtc(hash: Hash, etc: string): Promise<void> {
  for (const name of await imageEtcPaths(etc)) {
    const top = join(etc, name);
    const stats = await lstat(top);
    if (stats.isFile()) hash.update(`${name}\0`).update(await readFile(top));
    if (!stats.isDirectory()) continue;
    for await (const entry of walkHostTree(etc, [name])) {
      hash.update(`${entry.path}\0`);
      if (entry.stats.isSymbolicLink()) hash.update(await readlink(entry.absolutePath));
      else if (entry.stats.isFile())
        hash.update(await readFile(entry.absolutePath).catch(() => 'unreadable'));
    }
  }
}

async function shallowFolders(machineRoot: string): Promise<string[]> {
  const folders = [...SHALLOW_FOLDERS];
  for (const parent of ['usr/lib', 'usr/include']) {
    const names = await readdir(join(machineRoot, parent)).catch(() => []);
    folders.push(...names.filter((name) => MULTIARCH.test(name)).map((name) => `${parent}/${name}`));
  }
  return folders.sort();
}

async function hashEntries(
  hash: Hash,
  machineRoot: string,
  folder: string,
  options: IoOptions,
): Promise<void> {
  const absolute = join(machineRoot, folder);
  const names = (await readdir(absolute).catch(() => [])).sort();
  const lines = await mapConcurrent(
    names,
    LSTATS_AT_ONCE,
    async (name) => {
      const path = join(absolute, name);
      return `${folder}/${name}\0${await factsOf(await lstat(path, { bigint: true }), path)}\n`;
    },
    options,
  );
  hash.update(lines.join(''));
}

/** A folder's own size and times change with what comes and goes in it, and say nothing more than its entries do. */
async function factsOf(stats: BigIntStats, path: string): Promise<string> {
  if (stats.isDirectory()) return `folder ${stats.mode}`;
  if (stats.isSymbolicLink()) return `link ${await readlink(path)}`;
  return `${stats.mode} ${stats.size} ${stats.mtimeNs / 1_000_000_000n}`;
}
