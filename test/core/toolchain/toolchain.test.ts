import { appendFile, cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeToolchain } from '../../../core/toolchain/toolchain.ts';
import { listToolchains } from '../../../core/toolchain/toolchain-folder.ts';
import {
  type ToolchainManifest,
  writeToolchainManifest,
} from '../../../core/toolchain/toolchain-manifest.ts';
import { fingerprintTree } from '../../../core/toolchain/tree-fingerprint.ts';
import { identifyTree } from '../../../core/toolchain/tree-identity.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

const PARTS = ['bin', 'lib', 'lib64', 'nvvm'];

async function makeToolchain(
  folder: string,
  { text = 'compiler', root, ...changes }: Partial<ToolchainManifest> & { text?: string } = {},
): Promise<string> {
  const tree = root ?? folder;
  await mkdir(join(tree, 'bin'), { recursive: true });
  await mkdir(join(tree, 'lib'));
  await writeFile(join(tree, 'bin', 'cc'), text, { mode: 0o755 });
  await writeFile(join(tree, 'lib', 'a.a'), 'library');
  await symlink('lib', join(tree, 'lib64'));
  await mkdir(folder, { recursive: true });
  await writeToolchainManifest(folder, {
    ...{ schema: 1, name: 'cuda', version: '13.5', build: '13.5.37', source: 'packages', packages: [] },
    root: root ?? '.',
    parts: PARTS,
    pathFolders: ['bin'],
    rootVariables: ['CUDA_HOME'],
    ...(await identifyTree(tree, PARTS)),
    fingerprint: await fingerprintTree(tree, PARTS),
    ...changes,
  });
  return folder;
}

describe('describeToolchain', () => {
  it('says what to mount where, and what to set', async () => {
    await using folder = await tempFolder();
    const root = await makeToolchain(join(folder.path, 'cuda-13.5'));
    const { identity } = await identifyTree(root, PARTS);
    const id = `cuda-13.5-${identity.slice(0, 12)}`;
    expect(await describeToolchain(root)).toEqual({
      ...{ id, name: 'cuda', version: '13.5', build: '13.5.37', source: 'packages', identity },
      ...{ files: 2, bytes: 15, folder: root, hostRoot: root },
      mountPoint: `/opt/ingot/${id}`,
      mounts: [
        { source: join(root, 'bin'), target: `/opt/ingot/${id}/bin` },
        { source: join(root, 'lib'), target: `/opt/ingot/${id}/lib` },
        { source: join(root, 'lib'), target: `/opt/ingot/${id}/lib64` },
      ],
      pathEntries: [`/opt/ingot/${id}/bin`],
      environment: { CUDA_HOME: `/opt/ingot/${id}` },
    });
  });

  it('knows a copied tree by its contents', async () => {
    await using folder = await tempFolder();
    const root = await makeToolchain(join(folder.path, 'one'));
    await cp(root, join(folder.path, 'two'), { recursive: true, verbatimSymlinks: true });
    const copy = await describeToolchain(join(folder.path, 'two'));
    expect(copy.id).toBe((await describeToolchain(root)).id);
    expect(copy.hostRoot).toBe(join(folder.path, 'two'));
  });

  it('refuses a tree that was changed', async () => {
    await using folder = await tempFolder();
    const root = await makeToolchain(folder.path);
    const before = await identifyTree(root, PARTS);
    await appendFile(join(root, 'bin', 'cc'), '!');
    const after = await identifyTree(root, PARTS);
    const error = await rejection(describeToolchain(root));
    expect(error.code).toBe(Code.FAILED_PRECONDITION);
    expect(error.message).toBe(
      `check toolchain cuda 13.5: ${root} is damaged or was changed since it was added: ` +
        `its contents hash to ${after.identity}, expected ${before.identity}`,
    );
  });

  it('refuses a tree of this machine that was upgraded, or is gone', async () => {
    await using folder = await tempFolder();
    const root = join(folder.path, 'usr-local-cuda');
    const added = await makeToolchain(join(folder.path, 'added'), { root, source: 'host' });
    await appendFile(join(root, 'lib', 'a.a'), 'new');
    const upgraded = await rejection(describeToolchain(added));
    expect(upgraded.message).toContain(`${root} was changed on this machine since it was added`);
    await rm(root, { recursive: true });
    const gone = await rejection(describeToolchain(added));
    expect(gone.message).toBe(
      `identify tree ${root}: no file below ${PARTS.join(', ')}, expected a toolchain`,
    );
  });

  it('says that a folder holds no toolchain', async () => {
    await using folder = await tempFolder();
    const error = await rejection(describeToolchain(folder.path));
    expect(error.code).toBe(Code.NOT_FOUND);
    expect(error.message).toBe(`read toolchain: no ${join(folder.path, 'toolchain.json')}`);
  });

  it('says what is wrong with a manifest', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'toolchain.json');
    await writeFile(path, '{');
    expect((await rejection(describeToolchain(folder.path))).message).toMatch(
      `read toolchain: ${path} is not JSON: `,
    );
    await writeFile(path, '{"schema": 2, "name": "../cuda"}');
    const error = await rejection(describeToolchain(folder.path));
    expect(error.code).toBe(Code.FAILED_PRECONDITION);
    expect(error.message).toMatch(`read toolchain: ${path} is not a toolchain manifest: schema: `);
    expect(error.message).toContain('; name: ');
    expect(error.message).toContain('; version: ');
  });

  it('refuses a manifest whose parts lead out of the tree', async () => {
    await using folder = await tempFolder();
    await expect(makeToolchain(folder.path, { parts: ['../etc'] })).rejects.toThrow('parts');
  });
});

describe('listToolchains', () => {
  it('is empty where there is no folder', async () => {
    await using folder = await tempFolder();
    expect(await listToolchains(join(folder.path, 'none'))).toEqual({ toolchains: [], problems: [] });
  });

  it('orders versions as numbers, takes equal trees once, and leaves unfinished ones out', async () => {
    await using folder = await tempFolder();
    const at = (name: string) => join(folder.path, name);
    await makeToolchain(at('c'), { version: '13.10', text: 'ten' });
    await makeToolchain(at('b'), { version: '13.2', text: 'two' });
    await makeToolchain(at('a'), { version: '13.2', text: 'two' });
    await makeToolchain(at('.staging-x'), { version: '13.3', text: 'three' });
    await writeFile(at('file'), '');
    const { toolchains, problems } = await listToolchains(folder.path);
    expect(toolchains.map(({ version }) => version)).toEqual(['13.2', '13.10']);
    expect(problems).toEqual([]);
  });

  it('names a damaged one and still lists the others', async () => {
    await using folder = await tempFolder();
    await makeToolchain(join(folder.path, 'good'));
    const bad = await makeToolchain(join(folder.path, 'bad'), { text: 'other' });
    await rm(join(bad, 'lib', 'a.a'));
    const { toolchains, problems } = await listToolchains(folder.path);
    expect(toolchains).toHaveLength(1);
    expect(problems.map((problem) => problem.folder)).toEqual([bad]);
    expect(problems[0]?.error.message).toMatch(`check toolchain cuda 13.5: ${bad} is damaged`);
  });
});
