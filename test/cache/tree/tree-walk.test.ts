import { describe, expect, it } from 'vitest';
import { defaultTreeLimits, type TreeStep, walkTree } from '../../../cache/tree/tree-walk.ts';
import { Digest } from '../../../core/digest.ts';
import { cancelled, dataLoss } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { sampleBlob } from '../bytes.ts';
import { directory, encoded, store, storeDirectory } from '../directories.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

const file = sampleBlob(10).digest;

async function walk(
  blobs: MemoryBlobStore,
  root: Digest,
  limits: Partial<typeof defaultTreeLimits> = {},
): Promise<TreeStep[]> {
  return Array.fromAsync(walkTree(blobs, root, { ...defaultTreeLimits, ...limits }));
}

/** A chain of directories, or a bomb when each holds the next several times. */
async function levels(blobs: MemoryBlobStore, count: number, copies: number): Promise<Digest> {
  let digest = await storeDirectory(blobs, directory({ file }));
  for (let level = 1; level < count; level += 1) {
    const names = Array.from({ length: copies }, (_, index) => [`d${index}`, digest] as const);
    digest = await storeDirectory(blobs, directory({}, Object.fromEntries(names)));
  }
  return digest;
}

describe('walkTree', () => {
  it('yields each distinct directory once, breadth first', async () => {
    const blobs = new MemoryBlobStore();
    const leaf = directory({ file });
    const leafDigest = await storeDirectory(blobs, leaf);
    const middle = directory({}, { leaf: leafDigest });
    const middleDigest = await storeDirectory(blobs, middle);
    const root = directory({ a: file }, { again: middleDigest, leaf: leafDigest, middle: middleDigest });
    const rootDigest = await storeDirectory(blobs, root);
    const steps = await walk(blobs, rootDigest);
    expect(steps).toEqual([
      { digest: rootDigest, depth: 0, directory: root },
      { digest: middleDigest, depth: 1, directory: middle },
      { digest: leafDigest, depth: 1, directory: leaf },
    ]);
    expect(blobs.reads).toBe(3);
  });

  it('yields the empty directory, and many beside each other in order', async () => {
    const blobs = new MemoryBlobStore();
    const empty = Digest.ofBytes(new Uint8Array());
    const names: [string, Digest][] = [['empty', empty]];
    for (let index = 100; index < 200; index += 1) {
      names.push([`n${index}`, await storeDirectory(blobs, directory({ [`f${index}`]: file }))]);
    }
    const root = await storeDirectory(blobs, directory({}, Object.fromEntries(names)));
    const steps = await walk(blobs, root);
    expect(steps.map(({ digest }) => digest)).toEqual([root, ...names.map(([, digest]) => digest)]);
  });

  it('yields absent directories without their content, and goes on', async () => {
    const blobs = new MemoryBlobStore();
    const absent = sampleBlob(50).digest;
    const present = await storeDirectory(blobs, directory({ file }));
    const root = await storeDirectory(blobs, directory({}, { absent, present }));
    const steps = await walk(blobs, root);
    expect(steps.map((step) => [step.digest, step.directory !== undefined])).toEqual([
      [root, true],
      [absent, false],
      [present, true],
    ]);
    expect(await walk(blobs, absent)).toEqual([{ digest: absent, depth: 0, directory: undefined }]);
  });

  it('takes a child of the wrong size for absent', async () => {
    const blobs = new MemoryBlobStore();
    const child = await storeDirectory(blobs, directory({ file }));
    const wrong = Digest.of(child.hash, child.sizeBytes + 1);
    const root = await storeDirectory(blobs, directory({}, { child: wrong }));
    const steps = await walk(blobs, root);
    expect(steps[1]).toEqual({ digest: wrong, depth: 1, directory: undefined });
  });

  it('refuses a bomb of 30 levels of 10 equal directories in no time', async () => {
    const blobs = new MemoryBlobStore();
    const root = await levels(blobs, 30, 10);
    blobs.reads = 0;
    const beganMs = performance.now();
    await expect(walk(blobs, root)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'the tree has more than 500000 files, directories and symlinks',
    });
    expect(performance.now() - beganMs).toBeLessThan(1000);
    expect(blobs.reads).toBe(30);
  });

  it('counts nodes along every path', async () => {
    const blobs = new MemoryBlobStore();
    const root = await levels(blobs, 4, 10);
    // 10 + 100 + 1000 directories, and a file in each of the last.
    expect(await walk(blobs, root, { nodesMax: 2110 })).toHaveLength(4);
    await expect(walk(blobs, root, { nodesMax: 2109 })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'the tree has more than 2109 files, directories and symlinks',
    });
  });

  it('refuses trees that are too deep, without fetching them whole', async () => {
    const blobs = new MemoryBlobStore();
    const root = await levels(blobs, 10_000, 1);
    blobs.reads = 0;
    await expect(walk(blobs, root)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'the tree has more than 256 levels of directories',
    });
    expect(blobs.reads).toBeLessThanOrEqual(256);
    expect(await walk(blobs, await levels(blobs, 5, 1), { depthMax: 5 })).toHaveLength(5);
    await expect(walk(blobs, await levels(blobs, 6, 1), { depthMax: 5 })).rejects.toThrow('5 levels');
  });

  it('measures the depth by the longest path, not the shortest', async () => {
    const blobs = new MemoryBlobStore();
    const bottom = await levels(blobs, 3, 1);
    const middle = await storeDirectory(blobs, directory({}, { next: bottom }));
    const root = await storeDirectory(blobs, directory({}, { bottom, middle }));
    expect(await walk(blobs, root, { depthMax: 5 })).toHaveLength(5);
    await expect(walk(blobs, root, { depthMax: 4 })).rejects.toThrow('4 levels');
  });

  it('refuses directories that are too large, alone or together, before fetching them', async () => {
    const blobs = new MemoryBlobStore();
    const huge = Digest.of('a'.repeat(64), 100 * 1024 * 1024);
    const alone = await storeDirectory(blobs, directory({}, { huge }));
    await expect(walk(blobs, alone)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'the directories of the tree have more than 67108864 bytes',
    });
    const large = Digest.of('b'.repeat(64), 4 * 1024 * 1024 + 1);
    const root = await storeDirectory(blobs, directory({}, { large }));
    await expect(walk(blobs, root)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `directory ${large}: at most 4194304 bytes are accepted in one directory`,
    });
  });

  it('refuses too many files in different directories as soon as they are seen', async () => {
    const blobs = new MemoryBlobStore();
    const files = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i + 1000}`, file]));
    const children: Record<string, Digest> = {};
    for (let i = 100; i < 200; i += 1) {
      children[`d${i}`] = await storeDirectory(blobs, directory({ ...files, [`z${i}`]: file }));
    }
    const root = await storeDirectory(blobs, directory({}, children));
    blobs.reads = 0;
    await expect(walk(blobs, root, { nodesMax: 50_000 })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'the tree has more than 50000 files, directories and symlinks',
    });
    expect(blobs.reads).toBeLessThan(70);
  });

  it('names the directory that is malformed', async () => {
    const blobs = new MemoryBlobStore();
    const noMessage = await store(blobs, Buffer.from('this is no directory'));
    const badName = await storeDirectory(blobs, directory({ '..': file }));
    for (const child of [noMessage, badName]) {
      const root = await storeDirectory(blobs, directory({}, { child }));
      await expect(walk(blobs, root)).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: expect.stringContaining(`directory ${child}: `),
      });
    }
  });

  it('stops when its reader leaves or its signal aborts', async () => {
    const blobs = new MemoryBlobStore();
    const root = await levels(blobs, 3, 1);
    for await (const _step of walkTree(blobs, root)) break;
    const controller = new AbortController();
    blobs.read = async (_digest, _range) => {
      controller.abort(cancelled('enough'));
      throw cancelled('enough');
    };
    await expect(
      Array.fromAsync(walkTree(blobs, root, defaultTreeLimits, { signal: controller.signal })),
    ).rejects.toMatchObject({ code: Code.CANCELLED, message: `Fetch directory ${root}: enough` });
  });

  it('takes a blob found damaged for absent', async () => {
    const blobs = new MemoryBlobStore();
    const { digest } = encoded(directory({ file }));
    blobs.read = async () => {
      throw dataLoss('rotten');
    };
    expect(await walk(blobs, digest)).toEqual([{ digest, depth: 0, directory: undefined }]);
  });
});
