import { describe, expect, test } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { collectBytes } from '../../../core/streams.ts';
import {
  DigestFunction_Value,
  Directory,
  Command_OutputDirectoryFormat as Format,
  Tree,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { type FoundDirectory, storeDirectory } from '../../../worker/output/output-directory.ts';

const SHA256 = DigestFunction_Value.SHA256;
const FILE = Digest.ofBytes(Buffer.from('x')).toMessage();

function found(names: readonly string[], children: Record<string, FoundDirectory> = {}): FoundDirectory {
  const files = names.map((name) => ({ name, digest: FILE, isExecutable: false, nodeProperties: undefined }));
  return { directory: Directory.create({ files }), children: new Map(Object.entries(children)) };
}

async function store(directory: FoundDirectory, format: Format) {
  const { output, blobs } = storeDirectory('out', directory, { format, digestFunction: SHA256 });
  const bytes = new Map<string, Buffer>();
  for (const { digest, open } of blobs) {
    bytes.set(digest.hash, await collectBytes(open(), { bytesMax: 1e6, what: 'blob' }));
  }
  return { output, bytes };
}

describe('storeDirectory', () => {
  test('the tree is what the generated codec would write, root first', async () => {
    const directory = found(['b', 'a'], { z: found([]), y: found(['c']) });
    const { output, bytes } = await store(directory, Format.TREE_ONLY);
    const tree = bytes.get(output.treeDigest!.hash)!;
    expect(Buffer.from(Tree.encode(Tree.decode(tree)).finish())).toEqual(tree);
    const { root, children } = Tree.decode(tree);
    expect(root!.files.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(root!.directories.map(({ name }) => name)).toEqual(['y', 'z']);
    expect(children).toHaveLength(2);
    expect(output).toMatchObject({
      path: 'out',
      isTopologicallySorted: true,
      rootDirectoryDigest: undefined,
    });
  });

  test('equal directories are in the tree once, and every one before those it refers to', async () => {
    const shared = found(['leaf']);
    const directory = found([], { a: shared, b: found([], { c: found([], { d: shared }) }) });
    const { output, bytes } = await store(directory, Format.TREE_ONLY);
    const { root, children } = Tree.decode(bytes.get(output.treeDigest!.hash)!);
    const order = [root!, ...children];
    const digests = order.map((one) => Digest.ofBytes(Directory.encode(one).finish()).hash);
    expect(new Set(digests).size).toBe(4);
    for (const [index, one] of order.entries()) {
      for (const { digest } of one.directories) expect(digests.indexOf(digest!.hash)).toBeGreaterThan(index);
    }
  });

  test('directories alone are blobs of their own, each once', async () => {
    const empty = found([]);
    const { output, bytes } = await store(found(['f'], { a: empty, b: empty }), Format.DIRECTORY_ONLY);
    expect(output.treeDigest).toBeUndefined();
    const root = Directory.decode(bytes.get(output.rootDirectoryDigest!.hash)!);
    expect(root.directories.map(({ name }) => name)).toEqual(['a', 'b']);
    expect([...bytes.keys()].sort()).toEqual(
      [output.rootDirectoryDigest!.hash, root.directories[0]!.digest!.hash].sort(),
    );
  });

  test('both forms name the same root', async () => {
    const { output, bytes } = await store(found(['f']), Format.TREE_AND_DIRECTORY);
    const tree = Tree.decode(bytes.get(output.treeDigest!.hash)!);
    expect(Directory.decode(bytes.get(output.rootDirectoryDigest!.hash)!)).toEqual(tree.root);
  });

  test('a name that REAPI cannot carry is refused with the output it is in', () => {
    expect(() =>
      storeDirectory('out', found(['\ufeffx']), { format: Format.TREE_ONLY, digestFunction: SHA256 }),
    ).toThrow(/^output directory "out": directory: name "\ufeffx" begins with a byte order mark$/);
  });
});
