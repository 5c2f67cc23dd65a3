import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { downloadOutputs } from '../../../cli/client/download-outputs.ts';
import { Digest } from '../../../core/digest.ts';
import { encodeCanonical } from '../../../core/directory.ts';
import {
  ActionResult,
  type DeepPartial,
  Directory,
  Tree,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { tempFolder } from '../temp-folder.ts';

function download(
  store: MemoryBlobStore,
  rootPath: string,
  result: DeepPartial<ActionResult>,
  outputPaths: string[],
) {
  return downloadOutputs(ActionResult.fromPartial(result), { store, rootPath, outputPaths });
}

function smallTree(store: MemoryBlobStore): { treeDigest: Digest; rootDigest: Digest } {
  const file = store.add('leaf').toMessage();
  const child = Directory.fromPartial({ files: [{ name: 'leaf', digest: file, isExecutable: true }] });
  const root = Directory.fromPartial({
    directories: [{ name: 'sub', digest: Digest.ofBytes(encodeCanonical(child)).toMessage() }],
    symlinks: [{ name: 'link', target: 'sub/leaf' }],
  });
  store.add(encodeCanonical(child));
  const rootDigest = store.add(encodeCanonical(root));
  return { treeDigest: store.add(Tree.encode({ root, children: [child] }).finish()), rootDigest };
}

describe('downloadOutputs', () => {
  it('writes files with their exec bit into parents that it makes', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const digest = store.add('#!/bin/sh').toMessage();
    const outputFiles = [
      { path: 'out/deep/run', digest, isExecutable: true },
      { path: 'out/deep/text', digest, isExecutable: false },
    ];
    const totals = await download(store, root, { outputFiles }, ['out/deep/run', 'out/deep/text']);
    expect(totals.paths).toEqual(['out/deep/run', 'out/deep/text']);
    expect(readFileSync(join(root, 'out/deep/run'), 'utf8')).toBe('#!/bin/sh');
    const umask = process.umask();
    expect(lstatSync(join(root, 'out/deep/run')).mode & 0o777).toBe(0o777 & ~umask);
    expect(lstatSync(join(root, 'out/deep/text')).mode & 0o777).toBe(0o666 & ~umask);
    expect(readdirSync(join(root, 'out/deep'))).toEqual(['run', 'text']);
  });

  it('writes an empty file, and one whose bytes came with the result', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const inline = Buffer.from('inline');
    const outputFiles = [
      { path: 'empty', digest: Digest.ofBytes(Buffer.alloc(0)).toMessage() },
      { path: 'inline', digest: Digest.ofBytes(inline).toMessage(), contents: inline },
    ];
    await download(store, root, { outputFiles }, ['empty', 'inline']);
    expect(readFileSync(join(root, 'empty'), 'utf8')).toBe('');
    expect(readFileSync(join(root, 'inline'), 'utf8')).toBe('inline');
  });

  it.each(['treeDigest', 'rootDirectoryDigest'] as const)(
    'writes a directory given by its %s',
    async (field) => {
      const [store, root] = [new MemoryBlobStore(), tempFolder()];
      const { treeDigest, rootDigest } = smallTree(store);
      const digest = (field === 'treeDigest' ? treeDigest : rootDigest).toMessage();
      await download(store, root, { outputDirectories: [{ path: 'dir', [field]: digest }] }, ['dir']);
      expect(readFileSync(join(root, 'dir/link'), 'utf8')).toBe('leaf');
      expect(readlinkSync(join(root, 'dir/link'))).toBe('sub/leaf');
      expect(lstatSync(join(root, 'dir/sub/leaf')).mode & 0o100).toBe(0o100);
    },
  );

  it('replaces a file by a directory, a directory by a file, and a directory by a newer one', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const treeDigest = smallTree(store).treeDigest.toMessage();
    const digest = store.add('file').toMessage();
    writeFileSync(join(root, 'a'), 'old');
    for (const name of ['b', 'c']) {
      mkdirSync(join(root, name));
      writeFileSync(join(root, name, 'stale'), '');
    }
    await download(
      store,
      root,
      {
        outputFiles: [{ path: 'b', digest }],
        outputDirectories: ['a', 'c'].map((path) => ({ path, treeDigest })),
      },
      ['a', 'b', 'c'],
    );
    expect(readdirSync(root).sort()).toEqual(['a', 'b', 'c']);
    expect(readdirSync(join(root, 'a')).sort()).toEqual(['link', 'sub']);
    expect(readFileSync(join(root, 'b'), 'utf8')).toBe('file');
    expect(readdirSync(join(root, 'c')).sort()).toEqual(['link', 'sub']);
  });

  it('writes symlinks, from the new list and the older ones, once', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const link = { path: 'l', target: 'gone' };
    await download(store, root, { outputSymlinks: [link], outputFileSymlinks: [link] }, ['l']);
    expect(readlinkSync(join(root, 'l'))).toBe('gone');
  });

  it("leaves the old output, and nothing beside it, when the bytes are not the digest's", async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const digest = store.add('right');
    store.damage(digest, 'wrong');
    writeFileSync(join(root, 'f'), 'old');
    await expect(
      download(store, root, { outputFiles: [{ path: 'f', digest: digest.toMessage() }] }, ['f']),
    ).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `output "f": blob ${digest}: received the bytes of ${Digest.ofBytes(Buffer.from('wrong'))}`,
    });
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('old');
    expect(readdirSync(root)).toEqual(['f']);
  });

  it('says that a blob is gone', async () => {
    const digest = Digest.ofBytes(Buffer.from('gone'));
    await expect(
      download(
        new MemoryBlobStore(),
        tempFolder(),
        { outputFiles: [{ path: 'f', digest: digest.toMessage() }] },
        ['f'],
      ),
    ).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `output "f": blob ${digest} is not in the farm`,
    });
  });

  it.each([
    ['../evil', expect.stringContaining('output of the result "../evil"')],
    ['/etc/evil', 'output of the result "/etc/evil" is absolute, expected a relative path'],
    ['other', 'download outputs: the result has "other", expected only "f"'],
  ])('refuses a result with an output at %s', async (path, message) => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const digest = store.add('x').toMessage();
    await expect(download(store, root, { outputFiles: [{ path, digest }] }, ['f'])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message,
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('refuses a tree whose names lead out of it', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const evil = Directory.fromPartial({ files: [{ name: '../evil', digest: store.add('x').toMessage() }] });
    const treeDigest = store.add(Tree.encode({ root: evil, children: [] }).finish()).toMessage();
    await expect(
      download(store, root, { outputDirectories: [{ path: 'd', treeDigest }] }, ['d']),
    ).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(readdirSync(root)).toEqual([]);
  });

  it('refuses a tree that lacks a directory', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    const missing = Digest.ofBytes(Buffer.from('no'));
    const top = Directory.fromPartial({ directories: [{ name: 'sub', digest: missing.toMessage() }] });
    const treeDigest = store.add(Tree.encode({ root: top, children: [] }).finish()).toMessage();
    await expect(
      download(store, root, { outputDirectories: [{ path: 'd', treeDigest }] }, ['d']),
    ).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `output "d": output d: its Tree lacks directory ${missing}`,
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('says when a part of the path is a file', async () => {
    const [store, root] = [new MemoryBlobStore(), tempFolder()];
    writeFileSync(join(root, 'out'), '');
    const digest = store.add('x').toMessage();
    await expect(
      download(store, root, { outputFiles: [{ path: 'out/f', digest }] }, ['out/f']),
    ).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'output "out/f": a part of its path is not a directory',
    });
  });
});
