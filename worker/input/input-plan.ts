import { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type {
  Directory,
  FileNode,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import type { BlobFile } from '../blobs/blob-file-name.ts';
import type { InputTree } from './input-tree.ts';

/** Longest path below the input root, in bytes: the system's 4095 less room for the folders above it. */
const INPUT_PATH_BYTES_MAX = 3500;

/** A file of the input root. */
export interface PlannedFile {
  readonly kind: 'file';
  readonly path: string;
  readonly blob: BlobFile;
  /** Only where the FileNode asks for them. */
  readonly unixMode: number | undefined;
  readonly mtime: Timestamp | undefined;
}

/** Anything in the input root; parents come before their children. */
export type PlannedEntry =
  | PlannedFile
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string };

/**
 * Writes the tree out as paths. Nothing in it is missing, and its size was checked when it was walked. The properties
 * of directories and symlinks are not kept; those of files are their mode and time.
 */
export function planInputs({ rootDigest, directories }: InputTree): Map<string, PlannedEntry> {
  const entries = new Map<string, PlannedEntry>();
  const add = (entry: PlannedEntry): void => {
    if (Buffer.byteLength(entry.path) > INPUT_PATH_BYTES_MAX) {
      throw invalidArgument(
        `input ${quote(entry.path)} has a path of more than ${INPUT_PATH_BYTES_MAX} bytes`,
      );
    }
    entries.set(entry.path, entry);
  };
  const pending = [{ prefix: '', directory: directories.get(rootDigest.key) }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { prefix, directory } = next;
    if (directory === undefined) continue;
    for (const file of directory.files) add(plannedFile(file, prefix, rootDigest));
    for (const { name, target } of directory.symlinks) add({ kind: 'symlink', path: prefix + name, target });
    for (const child of subdirectories(directory, rootDigest)) {
      const path = prefix + child.name;
      add({ kind: 'directory', path });
      pending.push({ prefix: `${path}/`, directory: directories.get(child.digest.key) });
    }
  }
  return entries;
}

/**
 * Adds the folders that must be there before the command starts: its working directory, and the parents of every
 * output. INVALID_ARGUMENT when the inputs have something else in their place.
 */
export function planFolders(entries: Map<string, PlannedEntry>, folders: Iterable<string>): void {
  for (const folder of folders) {
    if (folder === '') continue;
    const segments = folder.split('/');
    for (let count = 1; count <= segments.length; count += 1) {
      const path = segments.slice(0, count).join('/');
      const present = entries.get(path);
      if (present === undefined) entries.set(path, { kind: 'directory', path });
      else if (present.kind !== 'directory') {
        throw invalidArgument(
          `input ${quote(path)} is a ${present.kind}, expected a directory: it leads to ${quote(folder)}, ` +
            'the working directory or the parent of an output',
        );
      }
    }
  }
}

function plannedFile(node: FileNode, prefix: string, rootDigest: Digest): PlannedFile {
  return {
    kind: 'file',
    path: prefix + node.name,
    blob: {
      digest: Digest.fromMessage(node.digest, rootDigest.digestFunction),
      executable: node.isExecutable,
    },
    unixMode: node.nodeProperties?.unixMode,
    mtime: node.nodeProperties?.mtime,
  };
}

function subdirectories(
  { directories }: Directory,
  { digestFunction }: Digest,
): { readonly name: string; readonly digest: Digest }[] {
  return directories.map(({ name, digest }) => ({
    name,
    digest: Digest.fromMessage(digest, digestFunction),
  }));
}
