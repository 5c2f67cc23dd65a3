import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeToolchain, type Toolchain } from '../../../core/toolchain/toolchain.ts';
import { writeToolchainManifest } from '../../../core/toolchain/toolchain-manifest.ts';
import { fingerprintTree } from '../../../core/toolchain/tree-fingerprint.ts';
import { identifyTree } from '../../../core/toolchain/tree-identity.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { ToolchainWatch } from '../../../worker/sandbox/toolchain-watch.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

async function makeToolchain(folder: string): Promise<Toolchain> {
  await mkdir(join(folder, 'bin', 'deep'), { recursive: true });
  await writeFile(join(folder, 'bin', 'deep', 'cc1'), 'one', { mode: 0o755 });
  await writeToolchainManifest(folder, {
    ...{ schema: 1, name: 'cuda', version: '13.5', build: '13.5.37', source: 'host', packages: [] },
    ...{ root: '.', parts: ['bin'], pathFolders: ['bin'], rootVariables: [] },
    ...(await identifyTree(folder, ['bin'])),
    fingerprint: await fingerprintTree(folder, ['bin']),
  });
  return await describeToolchain(folder);
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o755 });
  await rename(`${path}.new`, path);
}

describe('ToolchainWatch', () => {
  test('gives up a toolchain in which a file was replaced, and says so', async () => {
    await using folder = await tempFolder();
    const toolchain = await makeToolchain(folder.path);
    const logger = recordingLogger();
    const watch = await ToolchainWatch.open([toolchain], { logger });
    let changes = 0;
    watch.start(() => {
      changes += 1;
    });
    await watch.checkUnchanged([toolchain]);
    expect(watch.toolchains).toEqual([toolchain]);
    await replace(join(folder.path, 'bin', 'deep', 'cc1'), 'two');
    expect(await rejection(watch.checkUnchanged([toolchain]))).toMatchObject({
      code: Code.UNAVAILABLE,
      message: `toolchain ${toolchain.id} was changed while the action ran`,
    });
    watch.stop();
    expect(watch.toolchains).toEqual([]);
    expect(changes).toBe(1);
    expect(logger.at('error').map(({ message }) => message)).toEqual([
      'toolchain has changed and is offered no more',
    ]);
    // Another action that ran at the same time is told as well.
    await expect(watch.checkUnchanged([toolchain])).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  });

  test('keeps one whose folders were touched and whose contents are the same', async () => {
    await using folder = await tempFolder();
    const toolchain = await makeToolchain(folder.path);
    let descriptions = 0;
    const watch = await ToolchainWatch.open([toolchain], {
      logger: recordingLogger(),
      describe: (path) => {
        descriptions += 1;
        return describeToolchain(path);
      },
    });
    await replace(join(folder.path, 'bin', 'deep', 'cc1'), 'one');
    await watch.checkUnchanged([toolchain]);
    await watch.checkUnchanged([toolchain]);
    expect(watch.toolchains).toEqual([toolchain]);
    expect(descriptions).toBe(1);
  });

  test('finds a file that was written over in place at the next look at all files', async () => {
    await using folder = await tempFolder();
    const toolchain = await makeToolchain(folder.path);
    const watch = await ToolchainWatch.open([toolchain], { logger: recordingLogger() });
    const path = join(folder.path, 'bin', 'deep', 'cc1');
    await writeFile(path, 'two');
    await utimes(path, 1, 1);
    await watch.checkFiles();
    expect(watch.toolchains).toEqual([]);
  });

  test('gives up one that is gone', async () => {
    await using folder = await tempFolder();
    const toolchain = await makeToolchain(folder.path);
    const watch = await ToolchainWatch.open([toolchain], { logger: recordingLogger() });
    await rm(join(folder.path, 'bin'), { recursive: true });
    await expect(watch.checkUnchanged([toolchain])).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  });
});
