import type { BigIntStats } from 'node:fs';

/** A regular file as a directory listing sees it. Two that are equal mean that the bytes are, too. */
export interface FileFacts {
  /** Where it is, absolute. */
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
  readonly isExecutable: boolean;
}

/** The facts in a file's stat. */
export function fileFactsOf(path: string, stats: BigIntStats): FileFacts {
  return {
    path,
    device: stats.dev,
    inode: stats.ino,
    sizeBytes: Number(stats.size),
    modifiedNs: stats.mtimeNs,
    changedNs: stats.ctimeNs,
    isExecutable: (stats.mode & 0o100n) !== 0n,
  };
}

/** True when nothing has touched the file between the two looks at it. */
export function isSameFile(a: FileFacts, b: FileFacts): boolean {
  return (
    a.device === b.device &&
    a.inode === b.inode &&
    a.sizeBytes === b.sizeBytes &&
    a.modifiedNs === b.modifiedNs &&
    a.changedNs === b.changedNs
  );
}
