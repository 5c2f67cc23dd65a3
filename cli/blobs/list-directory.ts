import { throwIfAborted } from '../../core/abort.ts';
import { Digest } from '../../core/digest.ts';
import { resourceExhausted } from '../../core/error.ts';
import { compareUtf8 } from '../../core/utf8-order.ts';
import type { Directory } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import { type DirectoryTree, treeOfDirectory } from '../client/output-tree.ts';
import type { CommandContext } from '../command-context.ts';
import { parseDigest } from './parse-digest.ts';

/** The flags of `ingot ls`. */
export interface ListOptions {
  readonly recursive?: boolean;
}

/** One entry, as `--json` shows it. */
interface ListedNode {
  readonly type: 'file' | 'directory' | 'symlink';
  readonly path: string;
  readonly digest?: string;
  readonly sizeBytes?: number;
  readonly executable?: boolean;
  readonly target?: string;
}

/** Most entries listed: a tree whose equal parts unfold may have any number. */
const ENTRIES_MAX = 1_000_000;
const DEPTH_MAX = 256;

/** `ingot ls`: a line an entry, directories before what is in them. */
export async function listDirectory(
  context: CommandContext,
  { recursive = false }: ListOptions,
  [text = '']: readonly string[],
): Promise<void> {
  const { printer, signal } = context;
  const digest = parseDigest(text);
  await using farm = new FarmConnection(context.farm, context);
  await farm.status({ signal });
  const tree = await treeOfDirectory(farm.blobStore, digest, { signal });
  let count = 0;
  for await (const node of walk(tree, tree.root, { prefix: '', depth: 1, recursive })) {
    throwIfAborted(signal);
    if (++count > ENTRIES_MAX) throw resourceExhausted(`list ${digest}: more than ${ENTRIES_MAX} entries`);
    printer.line(describe(node));
    printer.result(node);
  }
}

interface Place {
  readonly prefix: string;
  readonly depth: number;
  readonly recursive: boolean;
}

async function* walk(tree: DirectoryTree, directory: Directory, place: Place): AsyncGenerator<ListedNode> {
  if (place.depth > DEPTH_MAX)
    throw resourceExhausted(`list: ${place.prefix} is deeper than ${DEPTH_MAX} directories`);
  const nodes = listed(directory, place.prefix).sort((a, b) => compareUtf8(a.path, b.path));
  for (const node of nodes) {
    yield node;
    if (node.type !== 'directory' || !place.recursive) continue;
    const name = node.path.slice(place.prefix.length);
    const child = directory.directories.find((entry) => entry.name === name);
    const below = await tree.directory(Digest.fromMessage(child?.digest));
    yield* walk(tree, below, { ...place, prefix: `${node.path}/`, depth: place.depth + 1 });
  }
}

function listed({ files, directories, symlinks }: Directory, prefix: string): ListedNode[] {
  return [
    ...files.map(({ name, digest, isExecutable }) => ({
      type: 'file' as const,
      path: prefix + name,
      digest: String(Digest.fromMessage(digest)),
      sizeBytes: digest?.sizeBytes ?? 0,
      executable: isExecutable,
    })),
    ...directories.map(({ name, digest }) => ({
      type: 'directory' as const,
      path: prefix + name,
      digest: String(Digest.fromMessage(digest)),
    })),
    ...symlinks.map(({ name, target }) => ({ type: 'symlink' as const, path: prefix + name, target })),
  ];
}

function describe({ type, path, digest, executable, target }: ListedNode): string {
  if (type === 'symlink') return `l ${path} -> ${target}`;
  if (type === 'directory') return `d ${path}/ ${digest}`;
  return `${executable === true ? 'x' : '-'} ${path} ${digest}`;
}
