import { hash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CudaRelease } from '../../../cli/toolchain/cuda-release.ts';
import {
  type InstallCudaOptions,
  installCudaToolchain,
} from '../../../cli/toolchain/install-cuda-toolchain.ts';
import type { InstallEvent } from '../../../cli/toolchain/install-event.ts';
import { PipClient } from '../../../cli/toolchain/pip-client.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { delay } from '../../../core/abort.ts';
import { cancelled } from '../../../core/error.ts';
import { readToolchainManifest } from '../../../core/toolchain/toolchain-manifest.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { makeFakeCuda, makeFakePython } from './fake-cuda.ts';
import { hinted } from './hinted.ts';

const RELEASE: CudaRelease = {
  version: '13.5',
  requirements: ['one==1', 'two==1'],
  pinned: true,
  downloadBytes: 10,
};

interface Scene {
  readonly options: InstallCudaOptions;
  readonly events: InstallEvent[];
  /** What pip will unpack. */
  readonly root: string;
  readonly python: string;
}

/** `changes` are variables of the fake pip. */
async function setScene(folder: string, changes: Record<string, string> = {}): Promise<Scene> {
  const unpacked = join(folder, 'unpacked');
  const root = await makeFakeCuda(join(unpacked, 'nvidia', 'cu13'));
  await mkdir(join(unpacked, 'nvidia_one-1.dist-info'));
  const python = await makeFakePython(join(folder, 'python3'), unpacked);
  const environment = { PATH: process.env.PATH, ...changes };
  const events: InstallEvent[] = [];
  const options = {
    toolchainsFolder: join(folder, 'data', 'toolchains'),
    release: RELEASE,
    pip: new PipClient({ runProgram, environment, python }),
    ...{ runProgram, environment },
    onEvent: (event: InstallEvent) => events.push(event),
    nowMs: Date.now(),
  };
  return { options, events, root, python };
}

describe('installCudaToolchain', () => {
  it('downloads, arranges, tries and names a tree, telling each step', async () => {
    await using folder = await tempFolder();
    const { options, events, python } = await setScene(folder.path);
    const { toolchain, added } = await installCudaToolchain(options);

    expect(added).toBe(true);
    expect(await readdir(options.toolchainsFolder)).toEqual(['cuda-13.5']);
    expect(toolchain).toMatchObject({ name: 'cuda', version: '13.5', build: '13.5.37', source: 'packages' });
    expect(toolchain.mounts.map(({ target }) => target.split('/').at(-1))).toEqual([
      ...['bin', 'include', 'lib', 'lib64', 'nvvm'],
    ]);
    expect(await readFile(`${python}.requirements`, 'utf8')).toBe('one==1\ntwo==1\n');
    const manifest = await readToolchainManifest(toolchain.folder);
    expect(manifest.packages).toEqual([
      { file: 'nvidia_one-1.whl', sha256: hash('sha256', 'one\n'), bytes: 4 },
      { file: 'nvidia_two-1.whl', sha256: hash('sha256', 'three\n'), bytes: 6 },
    ]);
    expect(await readFile(`${python}.install`, 'utf8')).not.toContain('cuda_toolkit');
    expect([...new Set(events.map(({ step }) => step))]).toEqual(['download', 'unpack', 'try', 'identify']);
    expect(events.filter(({ step }) => step === 'download').at(-1)).toEqual({
      ...{ step: 'download', doneBytes: 10, totalBytes: 10 },
    });
  });

  it('leaves a tree that every user can read', async () => {
    await using folder = await tempFolder();
    const { options, root } = await setScene(folder.path);
    await runProgram(['chmod', '-R', 'go-rwx', root], { environment: process.env, timeoutMs: 5_000 });
    await runProgram(['chmod', 'u+s', join(root, 'bin', 'ptxas')], {
      environment: process.env,
      timeoutMs: 5_000,
    });
    const { toolchain } = await installCudaToolchain(options);
    const mode = async (path: string) =>
      ((await stat(join(toolchain.folder, path))).mode & 0o7777).toString(8);
    expect(await mode('.')).toBe('755');
    expect(await mode('nvvm/bin')).toBe('755');
    expect(await mode('bin/ptxas')).toBe('755');
    expect(await mode('include/cuda_runtime.h')).toBe('644');
    expect(await mode('toolchain.json')).toBe('644');
  });

  it('does nothing when the toolchain is there', async () => {
    await using folder = await tempFolder();
    const { options, events, python } = await setScene(folder.path);
    const first = await installCudaToolchain(options);
    await rm(python);
    events.length = 0;
    expect(await installCudaToolchain(options)).toEqual({ toolchain: first.toolchain, added: false });
    expect(events).toEqual([]);
  });

  it('does not touch one that was changed, and says what to do', async () => {
    await using folder = await tempFolder();
    const { options } = await setScene(folder.path);
    const { toolchain } = await installCudaToolchain(options);
    await appendFile(join(toolchain.folder, 'bin', 'ptxas'), 'x');
    const { message, hint } = await hinted(installCudaToolchain(options));
    expect(message).toMatch(`add toolchain: check toolchain cuda 13.5: ${toolchain.folder} is damaged`);
    expect(hint).toBe(`remove ${toolchain.folder} and run the command again`);
  });

  it('leaves nothing behind when it is aborted', async () => {
    await using folder = await tempFolder();
    const { options, events } = await setScene(folder.path, { FAKE_PIP_SLEEP: '30' });
    const controller = new AbortController();
    const installing = installCudaToolchain({ ...options, signal: controller.signal });
    while (!events.some((event) => event.step === 'download' && event.doneBytes > 0)) await delay(10);
    controller.abort(cancelled('interrupted'));
    expect((await rejection(installing)).message).toBe('interrupted');
    expect(await readdir(options.toolchainsFolder)).toEqual([]);
  });

  it('leaves nothing behind when the download fails', async () => {
    await using folder = await tempFolder();
    const { options } = await setScene(folder.path, { FAKE_PIP_FAIL: 'no network' });
    expect((await rejection(installCudaToolchain(options))).message).toBe('download with pip: no network');
    expect(await readdir(options.toolchainsFolder)).toEqual([]);
  });

  it('refuses wheels that do not make a whole tree', async () => {
    await using folder = await tempFolder();
    const { options, root } = await setScene(folder.path);
    await rm(join(root, 'nvvm'), { recursive: true });
    expect((await rejection(installCudaToolchain(options))).message).toMatch(
      /^look at CUDA tree: no nvvm\/bin\/cicc in .*\/nvidia\/cu13, expected a whole toolkit$/,
    );
    expect(await readdir(options.toolchainsFolder)).toEqual([]);
  });

  it('refuses a compiler that does not compile', async () => {
    await using folder = await tempFolder();
    const { options, root } = await setScene(folder.path);
    const version = "echo 'release 13.5, V13.5.37'";
    await makeFakeCuda(root, {
      nvcc: `#!/bin/sh\nif [ "$1" = --version ]; then ${version}; exit 0; fi\necho 'no good' >&2; exit 3\n`,
    });
    const error = await rejection(installCudaToolchain(options));
    expect(error.message).toMatch(
      /^try the CUDA toolchain: .*\/bin\/nvcc -gencode=.* -c twice\.cu -o twice\.o: no good$/,
    );
    expect(await readdir(options.toolchainsFolder)).toEqual([]);
  });

  it('refuses a compiler that makes nothing and says that all is well', async () => {
    await using folder = await tempFolder();
    const { options, root } = await setScene(folder.path);
    await makeFakeCuda(root, { nvcc: "#!/bin/sh\n[ $# -gt 1 ] || echo 'release 13.5, V13.5.37'\n" });
    expect((await rejection(installCudaToolchain(options))).message).toMatch(
      /-o twice\.o: exit code 0 and nothing said$/,
    );
  });

  it('lets two of them run at once', async () => {
    await using folder = await tempFolder();
    const { options } = await setScene(folder.path);
    const [one, two] = await Promise.all([installCudaToolchain(options), installCudaToolchain(options)]);
    expect(one?.toolchain.id).toBe(two?.toolchain.id);
    expect([one?.added, two?.added].sort()).toEqual([false, true]);
    expect(await readdir(options.toolchainsFolder)).toEqual(['cuda-13.5']);
  });

  it('removes what a killed one left hours ago, and nothing younger', async () => {
    await using folder = await tempFolder();
    const { options } = await setScene(folder.path);
    const staging = (name: string) => join(options.toolchainsFolder, `.staging-${name}`);
    await mkdir(join(staging('old'), 'wheels'), { recursive: true });
    await mkdir(staging('new'));
    const eightHoursAgo = options.nowMs / 1000 - 8 * 3600;
    await utimes(staging('old'), eightHoursAgo, eightHoursAgo);
    await installCudaToolchain(options);
    expect((await readdir(options.toolchainsFolder)).sort()).toEqual(['.staging-new', 'cuda-13.5']);
  });

  it('names the package where there is no host compiler', async () => {
    await using folder = await tempFolder();
    const { options } = await setScene(folder.path);
    const environment = { PATH: folder.path };
    expect(await hinted(installCudaToolchain({ ...options, environment }))).toEqual({
      message: 'try the CUDA toolchain: no g++ on this machine, which nvcc needs for the host side',
      hint: 'apt-get install --no-install-recommends g++',
    });
  });
});
