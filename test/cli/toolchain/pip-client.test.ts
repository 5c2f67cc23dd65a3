import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findProgram } from '../../../cli/toolchain/find-program.ts';
import { PipClient } from '../../../cli/toolchain/pip-client.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { makeFakePython, writeProgram } from './fake-cuda.ts';
import { hinted } from './hinted.ts';

const environment = { PATH: process.env.PATH };
const realPip = (await findProgram('python3', environment.PATH)) !== undefined;

describe('PipClient', () => {
  it('names the packages where there is no Python', async () => {
    const pip = new PipClient({ runProgram, environment, python: 'no-such-python' });
    expect(await hinted(pip.check({ signal: undefined }))).toEqual({
      message: 'look for pip: no no-such-python on this machine',
      hint: 'apt-get install --no-install-recommends python3 python3-pip',
    });
  });

  it('names the package where Python has no pip', async () => {
    await using folder = await tempFolder();
    const python = join(folder.path, 'python3');
    await writeProgram(python, '#!/bin/sh\necho "No module named pip" >&2; exit 1\n');
    const pip = new PipClient({ runProgram, environment, python });
    expect(await hinted(pip.check({ signal: undefined }))).toEqual({
      message: `look for pip: ${python} has no pip module`,
      hint: 'apt-get install --no-install-recommends python3-pip',
    });
  });

  it('gives pip’s own reason when a download fails', async () => {
    await using folder = await tempFolder();
    const python = await makeFakePython(join(folder.path, 'python3'), folder.path);
    const pip = new PipClient({
      runProgram,
      environment: { ...environment, FAKE_PIP_FAIL: 'Could not find a version' },
      python,
    });
    const options = { temporaryFolder: folder.path, signal: undefined };
    const error = await rejection(pip.download('requirements.txt', folder.path, options));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.message).toBe('download with pip: Could not find a version');
  });

  it.runIf(realPip)(
    'works with a real pip, whatever its user has set, and uses no folder but those given',
    async () => {
      await using folder = await tempFolder();
      const settings = { PIP_REQUIRE_VIRTUALENV: '1', PIP_USER: '1', PIP_NO_INDEX: '1', HOME: folder.path };
      const pip = new PipClient({ runProgram, environment: { ...process.env, ...settings } });
      const temporaryFolder = join(folder.path, 'tmp');
      const wheels = join(folder.path, 'wheels');
      await mkdir(temporaryFolder);
      await mkdir(wheels);
      await writeFile(join(folder.path, 'requirements.txt'), 'nvidia-cuda-nvcc==13.5.37\n');
      const options = { temporaryFolder, signal: undefined };
      const error = await rejection(pip.download(join(folder.path, 'requirements.txt'), wheels, options));
      expect(error.message).toContain('No matching distribution found for nvidia-cuda-nvcc==13.5.37');
      expect(await readdir(temporaryFolder)).toEqual([]);
    },
  );
});
