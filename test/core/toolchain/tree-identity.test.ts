import { execFileSync } from 'node:child_process';
import { chmod, cp, link, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fingerprintTree } from '../../../core/toolchain/tree-fingerprint.ts';
import { identifyTree } from '../../../core/toolchain/tree-identity.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

const PARTS = ['bin', 'lib'];

async function makeTree(root: string): Promise<string> {
  await mkdir(join(root, 'bin', 'deep'), { recursive: true });
  await mkdir(join(root, 'lib'));
  await writeFile(join(root, 'bin', 'tool'), 'tool', { mode: 0o755 });
  await writeFile(join(root, 'bin', 'deep', 'notes'), 'notes');
  await writeFile(join(root, 'lib', 'large'), Buffer.alloc(1_500_000, 7));
  await symlink('large', join(root, 'lib', 'alias'));
  return root;
}

describe('identifyTree', () => {
  it('is the same for equal contents elsewhere, and counts what it read', async () => {
    await using folder = await tempFolder();
    const one = await makeTree(join(folder.path, 'one'));
    const two = await makeTree(join(folder.path, 'two'));
    await utimes(join(two, 'bin', 'tool'), 1, 1);
    await writeFile(join(two, 'outside'), 'of the parts');

    const identity = await identifyTree(one, PARTS);
    expect(identity).toMatchObject({ files: 3, bytes: 1_500_009 });
    expect(identity.identity).toMatch(/^[0-9a-f]{64}$/);
    expect(await identifyTree(two, PARTS)).toEqual(identity);
  });

  const changes: Record<string, (root: string) => Promise<unknown>> = {
    'a byte of a small file': (root) => writeFile(join(root, 'bin', 'tool'), 'tOol'),
    'a byte of a large file': (root) => writeFile(join(root, 'lib', 'large'), Buffer.alloc(1_500_000, 8)),
    'an execute bit': (root) => chmod(join(root, 'bin', 'tool'), 0o644),
    'a name': (root) => rename(join(root, 'bin', 'tool'), join(root, 'bin', 'other')),
    'a file moved to another folder': (root) => rename(join(root, 'bin', 'tool'), join(root, 'lib', 'tool')),
    'an empty folder': (root) => mkdir(join(root, 'lib', 'empty')),
    'a link turned into its target': async (root) => {
      await rm(join(root, 'lib', 'alias'));
      await cp(join(root, 'lib', 'large'), join(root, 'lib', 'alias'));
    },
    'where a link leads': async (root) => {
      await rm(join(root, 'lib', 'alias'));
      await symlink('./large', join(root, 'lib', 'alias'));
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`changes with ${what}`, async () => {
      await using folder = await tempFolder();
      const root = await makeTree(folder.path);
      const before = await identifyTree(root, PARTS);
      await change(root);
      expect((await identifyTree(root, PARTS)).identity).not.toBe(before.identity);
    });
  }

  it('enters a part that is a link, and counts files seen twice once', async () => {
    await using folder = await tempFolder();
    const root = await makeTree(folder.path);
    await symlink('lib', join(root, 'lib64'));
    await link(join(root, 'lib', 'large'), join(root, 'bin', 'same'));
    const identity = await identifyTree(root, [...PARTS, 'lib64']);
    expect(identity).toMatchObject({ files: 3, bytes: 1_500_009 });
    expect(identity.identity).not.toBe((await identifyTree(root, PARTS)).identity);
  });

  it('refuses a pipe', async () => {
    await using folder = await tempFolder();
    const root = await makeTree(folder.path);
    execFileSync('mkfifo', [join(root, 'bin', 'pipe')]);
    const error = await rejection(identifyTree(root, PARTS));
    expect(error.code).toBe(Code.FAILED_PRECONDITION);
    expect(error.message).toBe(
      `identify tree: ${join(root, 'bin', 'pipe')} is a device, pipe or socket, expected a file`,
    );
  });

  it('refuses a tree without a file', async () => {
    await using folder = await tempFolder();
    await mkdir(join(folder.path, 'bin'));
    const error = await rejection(identifyTree(folder.path, PARTS));
    expect(error.code).toBe(Code.FAILED_PRECONDITION);
    expect(error.message).toBe(`identify tree ${folder.path}: no file below bin, lib, expected a toolchain`);
  });

  it('stops with the signal’s reason', async () => {
    await using folder = await tempFolder();
    const root = await makeTree(folder.path);
    const error = await rejection(identifyTree(root, PARTS, { signal: AbortSignal.abort() }));
    expect(error.code).toBe(Code.CANCELLED);
  });
});

describe('fingerprintTree', () => {
  it('stays while nothing is touched and changes when a file is', async () => {
    await using folder = await tempFolder();
    const root = await makeTree(folder.path);
    const before = await fingerprintTree(root, PARTS);
    expect(await fingerprintTree(root, PARTS)).toBe(before);
    await writeFile(join(root, 'bin', 'tool'), 'tool');
    expect(await fingerprintTree(root, PARTS)).not.toBe(before);
  });

  it('survives the rename of the root', async () => {
    await using folder = await tempFolder();
    const root = await makeTree(join(folder.path, 'before'));
    const before = await fingerprintTree(root, PARTS);
    await rename(root, join(folder.path, 'after'));
    expect(await fingerprintTree(join(folder.path, 'after'), PARTS)).toBe(before);
  });
});
