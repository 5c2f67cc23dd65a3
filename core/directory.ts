import {
  type DigestFunction_Value,
  Directory,
  type FileNode,
  type NodeProperties,
  type SymlinkNode,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { decodeMessage } from './decode-message.ts';
import { Digest } from './digest.ts';
import { invalidArgument, wrap } from './error.ts';
import { nodeNameProblem } from './node-name.ts';
import { quote } from './quote.ts';
import { compareUtf8 } from './utf8-order.ts';

/** Largest encoded Directory. A larger one would not fit a gRPC message of the default size, so GetTree could not send it. */
export const DIRECTORY_BYTES_MAX = 4 * 1024 * 1024;
/** Longest path or symlink target, in bytes of UTF-8: Linux's PATH_MAX with its closing NUL. */
export const PATH_BYTES_MAX = 4095;

/** A Directory from bytes a client wrote, checked as {@link checkDirectory} does; INVALID_ARGUMENT otherwise. */
export function parseDirectory(bytes: Uint8Array, digestFunction?: DigestFunction_Value): Directory {
  if (bytes.byteLength > DIRECTORY_BYTES_MAX) {
    throw invalidArgument(
      `directory has ${bytes.byteLength} bytes, at most ${DIRECTORY_BYTES_MAX} are accepted`,
    );
  }
  const directory = decodeMessage(Directory, bytes, 'directory');
  checkDirectory(directory, digestFunction);
  return directory;
}

/**
 * INVALID_ARGUMENT unless every name is one path segment a file system can hold, no name comes twice, each list is
 * sorted by UTF-8 bytes, and every digest is well formed. Says nothing of what the digests name.
 */
export function checkDirectory(directory: Directory, digestFunction?: DigestFunction_Value): void {
  const names = new Set<string>();
  checkNames('files', directory.files, names);
  checkNames('directories', directory.directories, names);
  checkNames('symlinks', directory.symlinks, names);
  for (const { name, digest } of [...directory.files, ...directory.directories]) {
    try {
      Digest.fromMessage(digest, digestFunction);
    } catch (error) {
      throw wrap(error, `directory: ${quote(name)}`);
    }
  }
  for (const { name, target } of directory.symlinks) {
    const problem = targetProblem(target);
    if (problem !== undefined) {
      throw invalidArgument(`directory: the target of symlink ${quote(name)} ${problem}`);
    }
  }
}

/** When a path may be empty; see {@link checkRelativePath}. */
export interface RelativePathOptions {
  /** The empty path, which names the root itself, is accepted. */
  readonly emptyAllowed?: boolean;
}

/**
 * INVALID_ARGUMENT unless the path leads from a root downwards: no leading or trailing slash, no empty, `.` or
 * `..` segment. For `working_directory`, `output_paths` and their kind; `what` names the field.
 */
export function checkRelativePath(path: string, what: string, options: RelativePathOptions = {}): void {
  if (path === '') {
    if (options.emptyAllowed === true) return;
    throw invalidArgument(`${what} is empty`);
  }
  if (path.startsWith('/'))
    throw invalidArgument(`${what} ${quote(path)} is absolute, expected a relative path`);
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw invalidArgument(`${what} ${quote(path)} is longer than ${PATH_BYTES_MAX} bytes`);
  }
  for (const segment of path.split('/')) {
    const problem = nodeNameProblem(segment);
    if (problem !== undefined) {
      throw invalidArgument(`${what} ${quote(path)}: its segment ${quote(segment)} ${problem}`);
    }
  }
}

/**
 * The one encoding of a directory: nodes and their properties sorted by UTF-8 bytes. What we build goes through
 * here, so that equal directories have equal digests. Checks the result; the argument stays as it is.
 */
export function encodeCanonical(directory: Directory): Buffer<ArrayBuffer> {
  const canonical: Directory = {
    files: directory.files.map(sortedProperties).sort(byName),
    directories: directory.directories.toSorted(byName),
    symlinks: directory.symlinks.map(sortedProperties).sort(byName),
    nodeProperties: sortedNodeProperties(directory.nodeProperties),
  };
  checkDirectory(canonical);
  const bytes = Buffer.from(Directory.encode(canonical).finish());
  if (bytes.byteLength > DIRECTORY_BYTES_MAX) {
    throw invalidArgument(
      `directory has ${bytes.byteLength} bytes, at most ${DIRECTORY_BYTES_MAX} are accepted`,
    );
  }
  return bytes;
}

function checkNames(list: string, nodes: readonly { readonly name: string }[], names: Set<string>): void {
  let previous: string | undefined;
  for (const { name } of nodes) {
    const problem = nodeNameProblem(name);
    if (problem !== undefined) throw invalidArgument(`directory: name ${quote(name)} ${problem}`);
    if (names.has(name)) throw invalidArgument(`directory: name ${quote(name)} comes twice`);
    if (previous !== undefined && compareUtf8(previous, name) > 0) {
      throw invalidArgument(
        `directory: ${list} are not sorted, ${quote(name)} comes after ${quote(previous)}`,
      );
    }
    names.add(name);
    previous = name;
  }
}

function targetProblem(target: string): string | undefined {
  if (target === '') return 'is empty';
  if (target.includes('\0')) return 'contains a NUL';
  if (!target.isWellFormed()) return 'is not well-formed Unicode';
  if (Buffer.byteLength(target) > PATH_BYTES_MAX) return `is longer than ${PATH_BYTES_MAX} bytes`;
  return undefined;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compareUtf8(a.name, b.name);
}

function sortedProperties<T extends FileNode | SymlinkNode>(node: T): T {
  return { ...node, nodeProperties: sortedNodeProperties(node.nodeProperties) };
}

function sortedNodeProperties(node: NodeProperties | undefined): NodeProperties | undefined {
  return node && { ...node, properties: node.properties.toSorted(byName) };
}
