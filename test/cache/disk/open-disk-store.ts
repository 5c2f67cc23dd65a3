import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskBlobStore, type DiskBlobStoreDependencies } from '../../../cache/disk/disk-blob-store.ts';
import type { Digest } from '../../../core/digest.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

type Options = Partial<Omit<DiskBlobStoreDependencies, 'folder'>>;

/** A disk blob store in a temporary folder, which can be closed and opened again. */
export async function openDiskStore(options: Options = {}) {
  const temp = await tempFolder();
  const open = () =>
    DiskBlobStore.open({
      folder: temp.path,
      logger: silentLogger,
      recentBlobBytes: 0,
      invocationTtlMs: 60_000,
      ...options,
    });
  let disk = await open();
  const segments = join(temp.path, 'segments-v1');
  return {
    folder: temp.path,
    segments,
    get disk() {
      return disk;
    },
    get store() {
      return disk.forInstance('');
    },
    async reopen(changeWhileClosed: () => Promise<void> = async () => undefined) {
      await disk.close();
      await changeWhileClosed();
      disk = await open();
    },
    /** The file of a SHA-256 blob that has one of its own. */
    pathOf: ({ hash }: Digest) => join(temp.path, 'cas-v1', 'sha256', hash.slice(0, 2), hash),
    /** Names of the segments' files, oldest first. */
    async segmentFiles(ending = '.seg') {
      return (await readdir(segments)).filter((name) => name.endsWith(ending)).sort();
    },
    /** Changes bytes of a file in place. */
    async damage(path: string, change: (bytes: Buffer) => Buffer | undefined) {
      const bytes = await readFile(path);
      await writeFile(path, change(bytes) ?? bytes);
    },
    async [Symbol.asyncDispose]() {
      await disk.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}
