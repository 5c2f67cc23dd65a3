import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { CommandContext, CommandHost } from '../../../cli/command-context.ts';
import { registerToolchain } from '../../../cli/commands/toolchain.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { makeFakeCuda, makeFakePython } from '../toolchain/fake-cuda.ts';
import { recordingPrinter } from '../toolchain/recording-printer.ts';

/** Runs `ingot toolchain …` with a data folder in `folder`. */
async function run(folder: string, argv: readonly string[], printer = recordingPrinter()) {
  const exitCodes: unknown[] = [];
  const io = { environment: { PATH: process.env.PATH, INGOT_DATA: join(folder, 'data') }, cwd: folder };
  const context = { io, printer, signal: new AbortController().signal } as unknown as CommandContext;
  const host: CommandHost = {
    action:
      (work) =>
      async (...args) => {
        const command = args.at(-1) as Command;
        exitCodes.push(await work(context, command.optsWithGlobals() as never, command.args));
      },
  };
  const program = new Command('ingot').exitOverride();
  registerToolchain(program, host);
  await program.parseAsync(['toolchain', ...argv], { from: 'user' });
  return { ...printer, exitCode: exitCodes[0] };
}

describe('ingot toolchain', () => {
  it('adds the CUDA of a folder, lists it, and says when it is there already', async () => {
    await using folder = await tempFolder();
    const root = await makeFakeCuda(join(folder.path, 'opt-cuda'));
    const added = await run(folder.path, ['add', 'cuda', '--from', 'opt-cuda']);
    const [{ id }] = added.results as [{ id: string }];
    expect(id).toMatch(/^cuda-13\.5-[0-9a-f]{12}$/);
    expect(added.lines).toEqual([
      expect.stringMatching(`^added: ${id} \\(nvcc 13\\.5\\.37, 6 files, `),
      `  on this machine  ${root}`,
      `  in a sandbox     /opt/ingot/${id}`,
    ]);
    expect(added.results).toEqual([
      expect.objectContaining({ id, source: 'host', root, mountPoint: `/opt/ingot/${id}`, added: true }),
    ]);
    expect(added.progresses).toEqual(['compile and link with it: done', 'hash its files: done']);

    const again = await run(folder.path, ['add', 'cuda', '--from', 'opt-cuda']);
    expect(again.lines[0]).toMatch(`already there: ${id} `);

    const { lines, results, exitCode } = await run(folder.path, ['ls']);
    expect(lines[0]).toMatch(/^TOOLCHAIN +BUILD +SOURCE +SIZE +ROOT$/);
    expect(lines[1]).toMatch(new RegExp(`^${id} +13\\.5\\.37 +this machine +.* +${root}$`));
    expect(results).toEqual([
      {
        folder: join(folder.path, 'data', 'toolchains'),
        toolchains: [expect.objectContaining({ id })],
        problems: [],
      },
    ]);
    expect(exitCode).toBe(0);
  });

  it('lists nothing where there is nothing, and says how to get something', async () => {
    await using folder = await tempFolder();
    const { lines, exitCode } = await run(folder.path, ['ls', '--data', 'elsewhere']);
    expect(lines).toEqual([
      `no toolchains in ${join(folder.path, 'elsewhere', 'toolchains')}; \`ingot toolchain add cuda\` brings one`,
    ]);
    expect(exitCode).toBe(0);
  });

  it('warns of a changed one and ends with 1', async () => {
    await using folder = await tempFolder();
    const root = await makeFakeCuda(join(folder.path, 'opt-cuda'));
    await run(folder.path, ['add', 'cuda', '--from', root]);
    await appendFile(join(root, 'bin', 'ptxas'), 'x');
    const { warnings, exitCode, results } = await run(folder.path, ['ls']);
    expect(warnings).toEqual([expect.stringMatching(`check toolchain cuda 13.5: ${root} was changed`)]);
    expect(results).toEqual([expect.objectContaining({ problems: [expect.objectContaining({})] })]);
    expect(exitCode).toBe(1);
  });

  it('says that nothing was added when that is so', async () => {
    await using folder = await tempFolder();
    const unpacked = join(folder.path, 'unpacked');
    await mkdir(unpacked);
    const python = await makeFakePython(join(folder.path, 'python3'), unpacked);
    const printer = recordingPrinter();
    await expect(run(folder.path, ['add', 'cuda', '--python', python], printer)).rejects.toThrow(
      /^look at CUDA tree: no bin\/nvcc in /,
    );
    expect(printer.progresses.at(-1)).toBe('unpack 2 wheels, 10 B: failed: nothing was added');
    expect(printer.lines).toEqual([]);
    await expect(run(folder.path, ['add', 'cuda', '--from', 'none'])).rejects.toThrow(
      `ask ${folder.path}/none/bin/nvcc for its version: it cannot be run on this machine`,
    );
  });

  it.each([
    ['toolchain "rocm" is not known, expected cuda', ['rocm']],
    ['CUDA version "12.8" cannot be installed, expected 13.x such as 13.5', ['cuda', '12.8']],
    [
      '--from takes the version that is there: name either a version or --from',
      ['cuda', '13.5', '--from', 'x'],
    ],
  ])('refuses: %s', async (message, argv) => {
    await using folder = await tempFolder();
    await expect(run(folder.path, ['add', ...argv])).rejects.toMatchObject({ name: 'UsageError', message });
  });
});
