import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Digest } from '../../core/digest.ts';
import { encodeCanonical } from '../../core/directory.ts';
import { wrap } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  type DigestFunction_Value,
  type Directory,
  Command_OutputDirectoryFormat as Format,
  type OutputDirectory,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { OutputBlob } from './output-blob.ts';

/** A directory an action left, with its files' digests already known. */
export interface FoundDirectory {
  /** Files and symlinks of it; its `directories` are not looked at. */
  readonly directory: Directory;
  readonly children: ReadonlyMap<string, FoundDirectory>;
}

interface EncodedDirectory {
  readonly digest: Digest;
  readonly bytes: Buffer<ArrayBuffer>;
  readonly children: readonly EncodedDirectory[];
}

// Tags of Tree's fields: root is 1, children are 2, both length-delimited.
const ROOT_TAG = 0x0a;
const CHILDREN_TAG = 0x12;

/** An output directory as the result names it, and what must be stored for it. */
export function storeDirectory(
  path: string,
  found: FoundDirectory,
  options: { readonly format: Format; readonly digestFunction: DigestFunction_Value },
): { readonly output: OutputDirectory; readonly blobs: OutputBlob[] } {
  const { format, digestFunction } = options;
  let root: EncodedDirectory;
  try {
    root = encode(found, digestFunction, new Map());
  } catch (error) {
    throw wrap(error, `output directory ${quote(path)}`);
  }
  const directories = parentsFirst(root);
  const blobs: OutputBlob[] = [];
  const output: OutputDirectory = {
    path,
    treeDigest: undefined,
    isTopologicallySorted: false,
    rootDirectoryDigest: undefined,
  };
  if (format !== Format.DIRECTORY_ONLY) {
    const tree = blobOf(encodeTree(directories), digestFunction);
    blobs.push(tree);
    output.treeDigest = tree.digest.toMessage();
    output.isTopologicallySorted = true;
  }
  if (format !== Format.TREE_ONLY) {
    for (const { digest, bytes } of directories) blobs.push({ digest, open: () => bytesOf(bytes) });
    output.rootDirectoryDigest = root.digest.toMessage();
  }
  return { output, blobs };
}

/** Bytes of ours as a blob to store. */
export function blobOf(bytes: Uint8Array, digestFunction: DigestFunction_Value): OutputBlob {
  return { digest: Digest.ofBytes(bytes, digestFunction), open: () => bytesOf(bytes) };
}

/** From the leaves up; equal directories become one. */
function encode(
  { directory, children }: FoundDirectory,
  digestFunction: DigestFunction_Value,
  known: Map<string, EncodedDirectory>,
): EncodedDirectory {
  const encoded = Array.from(children, ([name, child]) => ({
    name,
    child: encode(child, digestFunction, known),
  }));
  const bytes = encodeCanonical({
    ...directory,
    directories: encoded.map(({ name, child }) => ({ name, digest: child.digest.toMessage() })),
  });
  const digest = Digest.ofBytes(bytes, digestFunction);
  const equal = known.get(digest.key);
  if (equal !== undefined) return equal;
  const made = { digest, bytes, children: encoded.map(({ child }) => child) };
  known.set(digest.key, made);
  return made;
}

/** Every distinct directory once, before all those it refers to. */
function parentsFirst(root: EncodedDirectory): EncodedDirectory[] {
  const seen = new Set<string>();
  const childrenFirst: EncodedDirectory[] = [];
  const visit = (directory: EncodedDirectory): void => {
    if (seen.has(directory.digest.key)) return;
    seen.add(directory.digest.key);
    for (const child of directory.children) visit(child);
    childrenFirst.push(directory);
  };
  visit(root);
  return childrenFirst.reverse();
}

/** By hand, from the very bytes the digests were made of: a Tree finds its directories by them. */
function encodeTree([root, ...children]: readonly EncodedDirectory[]): Uint8Array {
  const writer = new BinaryWriter();
  if (root !== undefined) writer.uint32(ROOT_TAG).bytes(root.bytes);
  for (const { bytes } of children) writer.uint32(CHILDREN_TAG).bytes(bytes);
  return writer.finish();
}
