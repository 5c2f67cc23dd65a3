import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addHostToolchain } from '../../../cli/toolchain/add-host-toolchain.ts';
import { ensureCudaToolchain } from '../../../cli/toolchain/ensure-cuda-toolchain.ts';
import { findHostNvcc } from '../../../cli/toolchain/find-host-nvcc.ts';
import type { InstallEvent } from '../../../cli/toolchain/install-event.ts';
import { PipClient } from '../../../cli/toolchain/pip-client.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { makeFakeCuda, makeFakePython, writeProgram } from './fake-cuda.ts';

const SYSTEM_PATH = '/usr/bin:/bin';

async function search(folder: string, { path = SYSTEM_PATH, cudaHome = '' } = {}) {
  return findHostNvcc({
    runProgram,
    environment: { PATH: path, CUDA_HOME: cudaHome },
    usualRoot: join(folder, 'usual'),
  });
}

describe('findHostNvcc', () => {
  it('finds nothing where there is nothing', async () => {
    await using folder = await tempFolder();
    expect(await search(folder.path, { cudaHome: join(folder.path, 'none') })).toEqual({
      found: undefined,
      problems: [],
    });
  });

  it('prefers PATH to CUDA_HOME to the usual folder', async () => {
    await using folder = await tempFolder();
    const at = (name: string) => makeFakeCuda(join(folder.path, name));
    const [usual, home, onPath] = [await at('usual'), await at('home'), await at('on-path')];
    const path = `${onPath}/bin:${SYSTEM_PATH}`;
    expect((await search(folder.path, { path, cudaHome: home })).found).toEqual({
      ...{ nvcc: join(onPath, 'bin', 'nvcc'), root: onPath, version: '13.5', build: '13.5.37' },
    });
    expect((await search(folder.path, { cudaHome: home })).found?.root).toBe(home);
    expect((await search(folder.path)).found?.root).toBe(usual);
  });

  it('asks a wrapper or a link for the root it leads to', async () => {
    await using folder = await tempFolder();
    const root = await makeFakeCuda(join(folder.path, 'real'));
    await writeProgram(join(folder.path, 'wrapper', 'nvcc'), `#!/bin/sh\nexec ${root}/bin/nvcc "$@"\n`);
    await mkdir(join(folder.path, 'link'));
    await symlink(join(root, 'bin', 'nvcc'), join(folder.path, 'link', 'nvcc'));
    for (const name of ['wrapper', 'link']) {
      const { found } = await search(folder.path, { path: `${folder.path}/${name}:${SYSTEM_PATH}` });
      expect(found).toMatchObject({ root, nvcc: join(folder.path, name, 'nvcc') });
    }
  });

  it('passes over one that is not whole, saying why, and takes the next', async () => {
    await using folder = await tempFolder();
    const broken = await makeFakeCuda(join(folder.path, 'broken'));
    await rm(join(broken, 'include'), { recursive: true });
    const mute = join(folder.path, 'mute', 'nvcc');
    await writeProgram(mute, '#!/bin/sh\nexit 1\n');
    const usual = await makeFakeCuda(join(folder.path, 'usual'));
    const path = `${broken}/bin:${folder.path}/mute:${SYSTEM_PATH}`;
    const { found, problems } = await search(folder.path, { path });
    expect(found?.root).toBe(usual);
    expect(problems.map(({ message }) => message)).toEqual([
      `look at CUDA tree: no include/cuda_runtime.h in ${broken}, expected a whole toolkit`,
      `ask ${mute} for its version: exit code 1 and nothing said, expected a line with "release 13.5, V13.5.37"`,
    ]);
  });
});

async function addTwice(folder: string, change: (root: string) => Promise<unknown>) {
  const root = await makeFakeCuda(join(folder, 'usual'));
  const add = async () => {
    const { found } = await search(folder);
    const events: InstallEvent[] = [];
    const result = await addHostToolchain(found!, {
      toolchainsFolder: join(folder, 'toolchains'),
      runProgram,
      environment: { PATH: SYSTEM_PATH },
      onEvent: (event) => events.push(event),
      nowMs: Date.now(),
    });
    return { ...result, events };
  };
  const first = await add();
  await change(root);
  return { root, first, second: await add() };
}

describe('addHostToolchain', () => {
  it('points to the tree where it is, and reads it once', async () => {
    await using folder = await tempFolder();
    const { root, first, second } = await addTwice(folder.path, async () => undefined);
    expect(first.added).toBe(true);
    expect(first.events.map(({ step }) => step)).toEqual(['try', 'identify']);
    expect(first.toolchain).toMatchObject({ source: 'host', hostRoot: root, version: '13.5' });
    expect(await readdir(first.toolchain.folder)).toEqual(['toolchain.json']);
    expect(second).toEqual({ toolchain: first.toolchain, added: false, events: [] });
  });

  it('is another toolchain after an upgrade in place', async () => {
    await using folder = await tempFolder();
    const { first, second } = await addTwice(folder.path, (root) =>
      writeFile(join(root, 'nvvm', 'bin', 'cicc'), '#!/bin/sh\n# newer\n'),
    );
    expect(second.added).toBe(true);
    expect(second.toolchain.id).not.toBe(first.toolchain.id);
    expect(second.toolchain.folder).toBe(first.toolchain.folder);
  });
});

async function ensure(folder: string, { allowDownload = true } = {}) {
  const unpacked = join(folder, 'unpacked');
  await makeFakeCuda(join(unpacked, 'nvidia', 'cu13'));
  const python = await makeFakePython(join(folder, 'python3'), unpacked);
  const environment = { PATH: SYSTEM_PATH };
  return ensureCudaToolchain({
    toolchainsFolder: join(folder, 'toolchains'),
    release: { version: '13.5', requirements: ['one==1'], pinned: false },
    pip: new PipClient({ runProgram, environment, python }),
    ...{ runProgram, environment, allowDownload },
    usualRoot: join(folder, 'usual'),
    onEvent: () => undefined,
    nowMs: Date.now(),
  });
}

describe('ensureCudaToolchain', () => {
  it('takes the one of this machine', async () => {
    await using folder = await tempFolder();
    await makeFakeCuda(join(folder.path, 'usual'));
    expect(await ensure(folder.path)).toMatchObject({ from: 'host', problems: [] });
  });

  it('downloads one where there is none, and takes that one from then on', async () => {
    await using folder = await tempFolder();
    const first = await ensure(folder.path);
    expect(first.from).toBe('download');
    const second = await ensure(folder.path, { allowDownload: false });
    expect(second).toMatchObject({ from: 'data folder', toolchain: first.toolchain });
  });

  it('downloads one where that of this machine does not work, and says so', async () => {
    await using folder = await tempFolder();
    const usual = join(folder.path, 'usual');
    const version = "echo 'release 13.5, V13.5.37'";
    await makeFakeCuda(usual, { nvcc: `#!/bin/sh\n[ "$1" = --version ] && ${version} || exit 4\n` });
    const { from, problems } = await ensure(folder.path);
    expect(from).toBe('download');
    expect(problems[0]?.message).toMatch(`try the CUDA toolchain: ${usual}/bin/nvcc -gencode`);
  });

  it('does not download where it must not', async () => {
    await using folder = await tempFolder();
    const error = await rejection(ensure(folder.path, { allowDownload: false }));
    expect(error.code).toBe(Code.NOT_FOUND);
    expect(error.message).toBe(`look for nvcc: none in PATH, CUDA_HOME or ${folder.path}/toolchains/cuda-*`);
  });
});
