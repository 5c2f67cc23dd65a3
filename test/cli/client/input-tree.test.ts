import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DigestCache } from '../../../cli/client/digest-cache.ts';
import { buildInputTree, type InputTree } from '../../../cli/client/input-tree.ts';
import { Digest } from '../../../core/digest.ts';
import { parseDirectory } from '../../../core/directory.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../temp-folder.ts';

const HOUR_AGO = new Date(Date.now() - 3_600_000);

function write(root: string, path: string, text: string): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
  utimesSync(join(root, path), HOUR_AGO, HOUR_AGO);
}

function directoryAt(tree: InputTree, path: string) {
  let blob = tree.blobs.get(tree.rootDigest.key);
  for (const name of path === '' ? [] : path.split('/')) {
    const directory = parseDirectory(blob && 'bytes' in blob ? blob.bytes : Buffer.alloc(0));
    const child = directory.directories.find((node) => node.name === name);
    blob = tree.blobs.get(Digest.fromMessage(child?.digest).key);
  }
  if (blob === undefined || !('bytes' in blob)) throw new Error(`no directory ${path}`);
  return parseDirectory(blob.bytes);
}

describe('buildInputTree', () => {
  it('holds files with their exec bit, directories with all below them, symlinks as symlinks, and .git too', async () => {
    const root = tempFolder();
    write(root, 'src/a.c', 'int a;');
    write(root, 'src/build.sh', '#!/bin/sh');
    chmodSync(join(root, 'src/build.sh'), 0o755);
    write(root, 'src/.git/HEAD', 'ref');
    mkdirSync(join(root, 'src/empty'));
    symlinkSync('a.c', join(root, 'src/link'));
    write(root, 'other.txt', 'not an input');
    const tree = await buildInputTree(root, ['src']);
    expect(directoryAt(tree, '').files).toEqual([]);
    const src = directoryAt(tree, 'src');
    expect(src.files.map(({ name, isExecutable }) => [name, isExecutable])).toEqual([
      ['a.c', false],
      ['build.sh', true],
    ]);
    expect(src.directories.map(({ name }) => name)).toEqual(['.git', 'empty']);
    expect(src.symlinks).toMatchObject([{ name: 'link', target: 'a.c' }]);
    expect(tree.totals).toEqual({ fileCount: 3, sizeBytes: 18 });
  });

  it('gives the same digest for the same content, whatever the order of the inputs and the times of the files', async () => {
    const [one, two] = [tempFolder(), tempFolder()];
    for (const root of [one, two]) {
      write(root, 'a', '1');
      write(root, 'b/c', '2');
    }
    utimesSync(join(two, 'a'), new Date(), new Date());
    const first = await buildInputTree(one, ['a', 'b']);
    const second = await buildInputTree(two, ['b/c', './a', 'a']);
    expect(first.rootDigest.key).toBe(second.rootDigest.key);
    write(two, 'a', '3');
    expect((await buildInputTree(two, ['a', 'b'])).rootDigest.key).not.toBe(first.rootDigest.key);
  });

  it('is the empty directory for no inputs', async () => {
    const tree = await buildInputTree(tempFolder(), []);
    expect(tree.rootDigest.isEmpty).toBe(true);
    expect(tree.blobs.size).toBe(0);
  });

  it('adds what a named symlink points at, and keeps the link', async () => {
    const root = tempFolder();
    write(root, 'v2/a', '1');
    symlinkSync('v2', join(root, 'current'));
    const tree = await buildInputTree(root, ['current']);
    expect(directoryAt(tree, '').symlinks).toMatchObject([{ name: 'current', target: 'v2' }]);
    expect(directoryAt(tree, 'v2').files.map(({ name }) => name)).toEqual(['a']);
  });

  it('follows a symlink in the middle of a named path', async () => {
    const root = tempFolder();
    write(root, 'deep/v2/a', '1');
    write(root, 'deep/v2/b', '2');
    symlinkSync('./v2', join(root, 'deep/current'));
    const tree = await buildInputTree(root, ['deep/current/a']);
    expect(directoryAt(tree, 'deep').symlinks).toMatchObject([{ name: 'current', target: './v2' }]);
    expect(directoryAt(tree, 'deep/v2').files.map(({ name }) => name)).toEqual(['a']);
  });

  it.each([
    ['/etc/passwd', 'is absolute'],
    ['../../x', 'leads out of the input root'],
  ])('refuses a symlink to %s', async (target, why) => {
    const root = tempFolder();
    mkdirSync(join(root, 'd'));
    symlinkSync(target, join(root, 'd/link'));
    await expect(buildInputTree(root, ['d'])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message:
        `input "d/link" is a symlink to "${target}", which ${why}; expected a relative target inside the input root ` +
        '(put a copy in its place, or leave it out of the inputs)',
    });
  });

  it('ends at a loop of symlinks', async () => {
    const root = tempFolder();
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    await expect(buildInputTree(root, ['a'])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'input "a": more than 40 symlinks on the way',
    });
  });

  it('refuses what lies outside of the root', async () => {
    const root = tempFolder();
    await expect(buildInputTree(root, ['../x'])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message:
        `input "../x" is outside of ${root}, expected a path below the directory ingot is started in, ` +
        'which is the root of the action',
    });
  });

  it('names an input that is not there', async () => {
    await expect(buildInputTree(tempFolder(), ['none.c'])).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'input "none.c": no such file or directory',
    });
  });

  it('says of a symlink that leads nowhere where it leads', async () => {
    const root = tempFolder();
    symlinkSync('gone', join(root, 'dangling'));
    await expect(buildInputTree(root, ['dangling'])).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'input "dangling", a symlink that leads to "gone": no such file or directory',
    });
  });

  it('names a file on the way that is not a directory', async () => {
    const root = tempFolder();
    write(root, 'a', '1');
    await expect(buildInputTree(root, ['a/b'])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'input "a/b": "a" is not a directory',
    });
  });

  it('refuses a socket', async () => {
    const root = tempFolder();
    const server = createServer().listen(join(root, 's'));
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(buildInputTree(root, ['.'])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'input "s" is a socket, expected a file, directory or symlink',
    });
    await new Promise((resolve) => server.close(resolve));
  });

  it('uses the digest cache for unchanged files and reads changed ones', async () => {
    const [root, directory] = [tempFolder(), tempFolder()];
    write(root, 'a', '1');
    // Far enough in the future for the file to have settled, whatever its ctime is.
    const open = () =>
      new DigestCache({ directory, root, nowNs: () => BigInt(Date.now() + 60_000) * 1_000_000n });
    const first = await buildInputTree(root, ['a'], { digestCache: open() });
    const hashed: number[] = [];
    const onProgress = (bytes: number) => void hashed.push(bytes);
    const again = await buildInputTree(root, ['a'], { digestCache: open(), onProgress });
    expect(hashed).toEqual([]);
    expect(again.rootDigest.key).toBe(first.rootDigest.key);
    write(root, 'a', '2');
    const changed = await buildInputTree(root, ['a'], { digestCache: open(), onProgress });
    expect(hashed).toEqual([1]);
    expect(changed.rootDigest.key).not.toBe(first.rootDigest.key);
  });
});
