import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { testCudaToolchain, testToolchainCommand, testToolchainsFolder } from '../setup/test-toolchain.ts';
import { type EndedCommand, IngotProcess, ingot } from './cli-process.ts';
import { sandboxLevel, UpFarm } from './up-farm.ts';

const toolchain = await testCudaToolchain();
let farm: UpFarm;
let folder: string;
let cacheHome: string;

beforeAll(async () => {
  const data = mkdtempSync(join(tmpdir(), 'ingot-e2e-'));
  if (toolchain !== undefined) symlinkSync(testToolchainsFolder, join(data, 'toolchains'));
  farm = await UpFarm.start({ data });
  cacheHome = mkdtempSync(join(tmpdir(), 'ingot-e2e-'));
});
afterAll(async () => {
  await farm?.[Symbol.asyncDispose]();
  for (const path of [farm?.data, cacheHome]) if (path) rmSync(path, { recursive: true, force: true });
});
beforeEach(() => {
  const made = mkdtempSync(join(tmpdir(), 'ingot-e2e-'));
  folder = made;
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
});

function environment(): Record<string, string> {
  return { INGOT_ENDPOINT: farm.endpoint, XDG_CACHE_HOME: cacheHome };
}

function run(...args: string[]): Promise<EndedCommand> {
  return ingot(args, { cwd: folder, environment: environment() });
}

async function outcome(
  ...args: string[]
): Promise<{ outcome: string; exitCode: number; milliseconds: number }> {
  const ended = await run('--json', 'run', ...args);
  if (ended.stdout === '') throw new Error(ended.stderr);
  return JSON.parse(ended.stdout);
}

const HELLO = [
  '--input',
  'src',
  '--output',
  'out/bin/hello',
  '--',
  'cc',
  'src/hello.c',
  '-o',
  'out/bin/hello',
];

function writeHello(): void {
  mkdirSync(join(folder, 'src'));
  writeFileSync(
    join(folder, 'src/hello.c'),
    '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n',
  );
}

describe('ingot run', () => {
  it('runs once, and answers from the cache until a byte of the inputs changes', async () => {
    writeHello();
    expect(await outcome(...HELLO)).toMatchObject({ outcome: 'ran', exitCode: 0 });
    expect(execFileSync(join(folder, 'out/bin/hello')).toString()).toBe('hello\n');
    rmSync(join(folder, 'out'), { recursive: true });
    expect(await outcome(...HELLO)).toMatchObject({ outcome: 'hit', exitCode: 0 });
    expect(execFileSync(join(folder, 'out/bin/hello')).toString()).toBe('hello\n');
    utimesSync(join(folder, 'src/hello.c'), new Date(), new Date());
    expect((await outcome(...HELLO)).outcome).toBe('hit');
    appendFileSync(join(folder, 'src/hello.c'), '\n');
    expect((await outcome(...HELLO)).outcome).toBe('ran');
  });

  it('takes under half a second for a hit, the start of the program included', async () => {
    writeHello();
    await outcome(...HELLO);
    const times: number[] = [];
    const options = { cwd: folder, environment: environment(), isTimed: true };
    for (let round = 0; round < 5; round++) times.push((await ingot(['run', ...HELLO], options)).ms);
    // The best of five: the machine may be busy with other tests.
    expect(Math.min(...times)).toBeLessThan(500);
  });

  it('runs again with --no-cache-lookup, and keeps no result with --do-not-cache', async () => {
    const command = ['--', 'echo', 'again'];
    expect((await outcome(...command)).outcome).toBe('ran');
    expect((await outcome('--no-cache-lookup', ...command)).outcome).toBe('ran');
    expect((await outcome(...command)).outcome).toBe('hit');
    expect((await outcome('--do-not-cache', ...command)).outcome).toBe('ran');
    expect((await outcome('--do-not-cache', ...command)).outcome).toBe('ran');
  });

  it('shows stdout and stderr while the command runs, each once, and ends with its exit code', async () => {
    const script = 'echo one; sleep 2; echo two; echo problem >&2; exit 7';
    const process = new IngotProcess(['run', '--', 'sh', '-c', script], {
      cwd: folder,
      environment: environment(),
    });
    await process.line('one');
    expect(process.stdout).toBe('one\n');
    const ended = await process.ended;
    expect([ended.code, ended.stdout]).toEqual([7, 'one\ntwo\n']);
    expect(ended.stderr.match(/^problem$/gm)).toHaveLength(1);
    expect(ended.stderr).toMatch(/^ran in .* on \S+ \(.*\), exit code 7$/m);
  });

  it('gives the output of a hit, byte for byte', async () => {
    const command = ['run', '--', 'sh', '-c', 'seq 1 5000; seq 1 3 >&2'];
    const [first, second] = [await run(...command), await run(...command)];
    expect(second.stdout).toBe(first.stdout);
    expect(second.stdout.split('\n')).toHaveLength(5001);
    expect(second.stderr).toMatch(/^1\n2\n3\nhit in /);
  });

  it('brings files with their exec bit, directories and symlinks back, and replaces what is there', async () => {
    mkdirSync(join(folder, 'dir'));
    writeFileSync(join(folder, 'dir/stale'), '');
    const script =
      'mkdir -p dir/sub; echo x > dir/sub/x; chmod +x dir/sub/x; ln -s sub/x dir/link; ln -s dir top; echo f > f';
    const ended = await run('run', '-o', 'dir', '-o', 'top', '-o', 'f', '--', 'sh', '-c', script);
    expect(ended.code).toBe(0);
    expect(existsSync(join(folder, 'dir/stale'))).toBe(false);
    expect(lstatSync(join(folder, 'dir/sub/x')).mode & 0o111).not.toBe(0);
    expect(lstatSync(join(folder, 'f')).mode & 0o111).toBe(0);
    expect([readlinkSync(join(folder, 'top')), readFileSync(join(folder, 'top/link'), 'utf8')]).toEqual([
      'dir',
      'x\n',
    ]);
  });

  it('sees only the inputs and the variables it was given', async () => {
    writeFileSync(join(folder, 'a'), '');
    writeFileSync(join(folder, 'b'), '');
    const ended = await ingot(
      ['run', '-i', 'a', '-e', 'SET=1', '-e', 'TAKEN', '--', 'sh', '-c', 'ls; echo $SET $TAKEN $LEFT'],
      {
        cwd: folder,
        environment: { ...environment(), TAKEN: 'here', LEFT: 'out' },
      },
    );
    expect(ended.stdout).toBe('a\n1 here\n');
  });

  it('says that an output was not made', async () => {
    const ended = await run('run', '-o', 'missing', '--', 'true');
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('error: the command ended with 0 and did not make missing\n');
  });

  it('ends with 124 at the timeout, and shows what the command had written', async () => {
    const ended = await run('run', '--timeout', '1s', '--', 'sh', '-c', 'echo begin; sleep 60');
    expect([ended.code, ended.stdout]).toEqual([124, 'begin\n']);
    expect(ended.stderr).toContain('error: the command did not end within its timeout of 1000 ms');
  });

  it('says at once which property no worker has', async () => {
    const ended = await run('run', '--platform', 'colour=green', '--', 'true');
    expect(ended.code).toBe(78);
    expect(ended.stderr).toMatch(
      /^error: none of 1 workers can run this action; on the nearest, \S+, "colour" is none/m,
    );
  });

  it('cancels the operation at Ctrl-C and ends with 130', async () => {
    const process = new IngotProcess(['run', '--', 'sh', '-c', 'echo begin; sleep 60'], {
      cwd: folder,
      environment: environment(),
    });
    await process.line('begin');
    const ended = await process.stop('SIGINT');
    expect(ended.code).toBe(130);
    const [, name = ''] = /^cancelled operation (\S+)$/m.exec(ended.stderr) ?? [];
    const status = JSON.parse((await run('status', '--json')).stdout);
    expect(status.operations).toContainEqual(
      expect.objectContaining({ name, stage: 'failed', outcome: 'CANCELLED' }),
    );
  });

  it('is told when someone else cancels, and `logs -f` ends too', async () => {
    const process = new IngotProcess(['run', '--', 'sh', '-c', 'echo begin; sleep 61'], {
      cwd: folder,
      environment: environment(),
    });
    await process.line('begin');
    const status = JSON.parse((await run('status', '--json')).stdout);
    const { name } = status.operations.find(({ stage }: { stage: string }) => stage === 'executing');
    const logs = new IngotProcess(['logs', '-f', name], { cwd: folder, environment: environment() });
    await logs.line('begin');
    expect((await run('cancel', name.replace('operations/', ''))).code).toBe(0);
    expect((await process.ended).code).toBe(130);
    expect(await logs.ended).toMatchObject({ code: 0, stdout: 'begin\n' });
  });
});

describe('ingot upload, ls and download', () => {
  it('bring a directory through the farm unchanged', async () => {
    mkdirSync(join(folder, 'tree/sub'), { recursive: true });
    writeFileSync(join(folder, 'tree/big'), Buffer.alloc(3_000_000, 7));
    writeFileSync(join(folder, 'tree/sub/run'), '#!/bin/sh\n', { mode: 0o755 });
    symlinkSync('sub/run', join(folder, 'tree/link'));
    const [digest = ''] = (await run('upload', 'tree')).stdout.split(' ');
    const listing = (await run('ls', '-r', digest)).stdout
      .split('\n')
      .map((line) => line.split(' ').slice(0, 2).join(' '));
    expect(listing).toEqual(['- big', 'l link', 'd sub/', 'x sub/run', '']);
    expect((await run('download', '--directory', digest, 'copy')).code).toBe(0);
    execFileSync('diff', ['-r', '--no-dereference', join(folder, 'tree'), join(folder, 'copy')]);
    expect(lstatSync(join(folder, 'copy/sub/run')).mode & 0o100).toBe(0o100);
    writeFileSync(join(folder, 'copy/mine'), '');
    const again = await run('download', '--directory', digest, 'copy');
    expect([again.code, again.stderr]).toEqual([
      78,
      'error: "copy" is a directory with something in it, which would be gone; expected another path, or --force\n',
    ]);
    expect((await run('download', '--force', '--directory', digest, 'copy')).code).toBe(0);
    expect(existsSync(join(folder, 'copy/mine'))).toBe(false);
  });

  it('say that a digest is not there', async () => {
    const absent = `${'ab'.repeat(32)}/5`;
    const ended = await run('download', absent, 'f');
    expect([ended.code, ended.stderr]).toEqual([66, `error: "f": blob ${absent} is not in the farm\n`]);
    expect(existsSync(join(folder, 'f'))).toBe(false);
  });
});

describe.skipIf(toolchain === undefined || sandboxLevel !== 'strict')(
  `ingot run with nvcc (${testToolchainCommand} brings it)`,
  () => {
    it('compiles for sm_90 with the toolchain of the farm, and says which', async () => {
      cpSync(join(import.meta.dirname, '../../examples/saxpy'), join(folder, 'saxpy'), { recursive: true });
      const command = ['--input', 'saxpy', '--output', 'out/saxpy.cubin', '--'];
      const nvcc = ['nvcc', '-cubin', '-arch=sm_90', 'saxpy/saxpy.cu', '-o', 'out/saxpy.cubin'];
      const first = await run('--verbose', 'run', ...command, ...nvcc);
      expect(first.code, first.stderr).toBe(0);
      expect(first.stderr).toMatch(/^platform: toolchain cuda-13\.5-[0-9a-f]{12}$/m);
      expect(readFileSync(join(folder, 'out/saxpy.cubin')).subarray(1, 4).toString()).toBe('ELF');
      expect((await outcome(...command, ...nvcc)).outcome).toBe('hit');
      appendFileSync(join(folder, 'saxpy/saxpy.cu'), '// one more line\n');
      expect((await outcome(...command, ...nvcc)).outcome).toBe('ran');
    });
  },
);
