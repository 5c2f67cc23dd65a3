import { setImmediate as nextTurn } from 'node:timers/promises';
import { type BlobIndex, IN_FILE } from './blob-index.ts';

/** Entries looked at in one turn: a few milliseconds. */
const ENTRIES_AT_ONCE = 100_000;
/** Files remembered of a look through the index, so that it is not looked through for each. */
const FILES_MAX = 1024;

/** A file and when it was last used, in seconds since 1970. */
export interface OldFile {
  readonly id: number;
  readonly usedSeconds: number;
}

/** The files that were used longest ago and are free to go, oldest first. */
export async function oldFiles(index: BlobIndex, isFree: (id: number) => boolean): Promise<OldFile[]> {
  let files: OldFile[] = [];
  for (let id = 0; id < index.idsEnd; id++) {
    if (id % ENTRIES_AT_ONCE === ENTRIES_AT_ONCE - 1) await nextTurn();
    if (!index.has(id) || index.isPending(id) || index.segmentOf(id) !== IN_FILE || !isFree(id)) continue;
    files.push({ id, usedSeconds: index.lastUseOf(id) });
    if (files.length >= FILES_MAX * 4) files = oldest(files);
  }
  return oldest(files);
}

function oldest(files: OldFile[]): OldFile[] {
  return files.sort((a, b) => a.usedSeconds - b.usedSeconds).slice(0, FILES_MAX);
}
