import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  cppDemoProject,
  cudaDemoProject,
  type DemoAction,
  type DemoProject,
} from '../../cli/demo/demo-project.ts';
import { runProgram } from '../../cli/toolchain/run-program.ts';
import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { testCudaToolchain } from '../setup/test-toolchain.ts';

const toolchain = await testCudaToolchain();
const bubblewrap =
  (
    await runProgram(['bwrap', '--version'], { environment: process.env, timeoutMs: 5_000 }).catch(
      () => undefined,
    )
  )?.exitCode === 0;

/** Runs a command in `folder`, seen as /w, with nothing else there but the system's programs and the toolchain. */
async function inSandbox(folder: string, argv: readonly string[], tools?: Toolchain) {
  const mounts = (tools?.mounts ?? []).flatMap(({ source, target }) => ['--ro-bind', source, target]);
  const path = [...(tools?.pathEntries ?? []), '/usr/bin', '/bin'].join(':');
  const variables = Object.entries({ ...tools?.environment, PATH: path });
  return runProgram(
    [
      ...['bwrap', '--unshare-all', '--die-with-parent', '--cap-drop', 'ALL', '--clearenv'],
      ...['--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin', '--symlink', 'usr/lib', '/lib'],
      ...['--symlink', 'usr/lib64', '/lib64', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
      ...mounts,
      ...variables.flatMap(([name, value]) => ['--setenv', name, value]),
      ...['--bind', folder, '/w', '--chdir', '/w', '--', ...argv],
    ],
    { environment: process.env, timeoutMs: 60_000 },
  );
}

/** Copies an action's declared inputs alone into a new folder, runs it there, and keeps its output in `built`. */
async function runAction(
  action: DemoAction,
  project: DemoProject,
  built: string,
  tools?: Toolchain,
): Promise<void> {
  await using folder = await tempFolder();
  for (const input of action.inputs) {
    const from = (await stat(join(built, input)).catch(() => undefined)) ? built : project.folder;
    await mkdir(dirname(join(folder.path, input)), { recursive: true });
    await copyFile(join(from, input), join(folder.path, input));
  }
  const result = await inSandbox(folder.path, action.commandLine, tools);
  expect(result).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  await copyFile(join(folder.path, action.output), join(built, action.output));
}

async function build(project: DemoProject, built: string, tools?: Toolchain): Promise<void> {
  for (const action of [...project.objects, project.link]) await runAction(action, project, built, tools);
}

describe.runIf(bubblewrap)(
  'the demo projects in a sandbox, each action with its declared inputs alone',
  () => {
    it('build in C++ a program that agrees with itself', async () => {
      await using built = await tempFolder();
      await build(cppDemoProject(), built.path);
      expect((await inSandbox(built.path, ['./numbers'])).stdout).toBe(
        'saxpy agrees\nreduce agrees\nmatmul agrees\n',
      );
    });

    describe.runIf(toolchain !== undefined)('with the CUDA toolchain', () => {
      let tools: Toolchain;
      beforeAll(() => {
        tools = toolchain!;
      });

      it('build kernels for three architectures and link them', async () => {
        await using built = await tempFolder();
        const project = cudaDemoProject();
        await build(project, built.path, tools);
        expect(project.objects).toHaveLength(9);
        for (const { output } of project.objects) {
          const arch = Number(/sm_(\d+)/.exec(output)?.[1]);
          expect(fatbinArchitectures(await readFile(join(built.path, output)))).toEqual([arch]);
        }
        // Without a GPU the program says so and ends with 2; with one it checks its results.
        const { exitCode, stdout } = await inSandbox(built.path, ['./kernels'], tools);
        expect(stdout).toMatch(/^no GPU to run on|kernels of sm_/);
        expect([0, 2]).toContain(exitCode);
      });

      it('make the same bytes twice', async () => {
        await using one = await tempFolder();
        await using two = await tempFolder();
        const project = cudaDemoProject();
        const actions = project.objects.filter(({ label }) => label.endsWith('sm_90'));
        for (const action of actions) {
          await runAction(action, project, one.path, tools);
          await runAction(action, project, two.path, tools);
          const bytes = await readFile(join(one.path, action.output));
          expect(bytes.equals(await readFile(join(two.path, action.output)))).toBe(true);
          expect(bytes.includes(one.path)).toBe(false);
        }
      });

      it('compile examples/saxpy as its README says', async () => {
        await using folder = await tempFolder();
        const source = fileURLToPath(new URL('../../examples/saxpy/saxpy.cu', import.meta.url));
        await mkdir(join(folder.path, 'examples', 'saxpy'), { recursive: true });
        await mkdir(join(folder.path, 'out'));
        await copyFile(source, join(folder.path, 'examples', 'saxpy', 'saxpy.cu'));
        const readme = await readFile(join(dirname(source), 'README.md'), 'utf8');
        const [, command = ''] = /-- \\\n +(nvcc .*)\n/.exec(readme) ?? [];
        expect(command).toContain('-cubin');
        const result = await inSandbox(folder.path, command.split(' '), tools);
        expect(result).toEqual({ exitCode: 0, stdout: '', stderr: '' });
        const cubin = await readFile(join(folder.path, 'out', 'saxpy.sm_90.cubin'));
        expect(cubin.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
      });
    });
  },
);

/** The architectures of the device images in an object: entries of kind 2 (ELF) behind each fat binary's header. */
function fatbinArchitectures(bytes: Buffer): number[] {
  const architectures: number[] = [];
  const magic = Buffer.from([0x50, 0xed, 0x55, 0xba]);
  for (let at = bytes.indexOf(magic); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    const end = at + bytes.readUInt16LE(at + 6) + Number(bytes.readBigUInt64LE(at + 8));
    let entry = at + bytes.readUInt16LE(at + 6);
    while (entry < end) {
      if (bytes.readUInt16LE(entry) === 2) architectures.push(bytes.readUInt32LE(entry + 28));
      entry += bytes.readUInt32LE(entry + 4) + Number(bytes.readBigUInt64LE(entry + 8));
    }
  }
  return architectures;
}
