import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { withSystemFolders } from '../../cli/toolchain/find-program.ts';
import { testCudaToolchain, testToolchainCommand, testToolchainsFolder } from '../setup/test-toolchain.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { IngotProcess, ingot } from './cli-process.ts';
import { sandboxLevel } from './up-farm.ts';

const toolchain = await testCudaToolchain();

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ingot-e2e-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface DemoResult {
  readonly cuda: boolean;
  readonly sandbox: string;
  readonly missed: readonly string[];
  readonly rounds: readonly {
    readonly actions: readonly { readonly stage: string; readonly worker: string }[];
  }[];
}

function stages(result: DemoResult): string[][] {
  return result.rounds.map(({ actions }) => actions.map(({ stage }) => stage));
}

describe('ingot demo', () => {
  it.skipIf(toolchain === undefined)(
    `compiles CUDA on three workers, then has it all from the cache (${testToolchainCommand} brings nvcc)`,
    async () => {
      const data = tempFolder();
      symlinkSync(testToolchainsFolder, join(data, 'toolchains'));
      const ended = await ingot(['demo', '--json', '--no-download', '--data', data]);
      expect(ended.code, ended.stderr).toBe(0);
      const result: DemoResult = JSON.parse(ended.stdout);
      expect(result).toMatchObject({ cuda: true, sandbox: sandboxLevel, missed: [] });
      expect(stages(result)).toEqual([Array(10).fill('ran'), Array(10).fill('hit')]);
      expect(new Set(result.rounds[0]?.actions.map(({ worker }) => worker))).toEqual(
        new Set(['worker-1', 'worker-2', 'worker-3']),
      );
    },
  );

  it.skipIf(toolchain === undefined)(
    'ends soon after Ctrl-C while it compiles, and leaves nothing',
    async () => {
      const [data, temporary] = [tempFolder(), tempFolder()];
      symlinkSync(testToolchainsFolder, join(data, 'toolchains'));
      const environment = { INGOT_DATA: data, XDG_DATA_HOME: data, TMPDIR: temporary };
      const demo = new IngotProcess(['demo', '--no-download'], { environment });
      await waitUntil('a compile', () => demo.stderr.includes('goes to worker-1'));
      const askedMs = performance.now();
      const ended = await demo.stop('SIGINT');
      expect([ended.code, ended.stderr.split('\n').at(-2)]).toEqual([130, 'error: interrupted by a signal']);
      expect(ended.stderr).not.toContain('ERROR');
      expect(performance.now() - askedMs).toBeLessThan(5_000);
      expect(readdirSync(temporary)).toEqual([]);
    },
  );

  it('compiles C++ where no nvcc is to be had, and says so', async () => {
    const environment = {
      XDG_DATA_HOME: tempFolder(),
      TMPDIR: tempFolder(),
      PATH: '/usr/bin:/bin',
      CUDA_HOME: '',
    };
    const ended = await ingot(['demo', '--no-download'], { environment });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toMatch(
      /^compiler: no CUDA compiler, so this compiles C\+\+ instead: .*, and --no-download forbids to bring one$/m,
    );
    expect(ended.stdout).toMatch(
      /^first time .* \(4 run, 0 from the cache\), again .* \(4 of 4 from the cache\): /m,
    );
    expect(readdirSync(environment.TMPDIR)).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'runs without a sandbox where there is no bubblewrap, and says why',
    async () => {
      const programs = withSystemFolders(process.env.PATH).split(':');
      const hidden = programs.flatMap((path) => ['bwrap', 'nats-server'].map((name) => join(path, name)));
      // In a mount namespace of its own the two programs are not there: a bare machine.
      const hide = hidden.map((path) => `[ ! -e ${path} ] || mount --bind /dev/null ${path}`).join('; ');
      const environment = {
        ...process.env,
        XDG_DATA_HOME: tempFolder(),
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      };
      const command = `${hide}; exec ${process.execPath} ${join(import.meta.dirname, '../../cli/ingot.js')} demo --no-download`;
      const { stdout } = await promisify(execFile)('unshare', ['-m', 'sh', '-c', command], {
        env: environment,
      });
      expect(stdout).toContain('bus: inside this process, since there is no nats-server on PATH\n');
      expect(stdout).toContain('sandbox: none: actions can do whatever this process can\n  not strict: ');
      expect(stdout).toMatch(/^ {2}not basic: .*bubblewrap/m);
      expect(stdout).toMatch(/ \(4 of 4 from the cache\): /);
    },
  );

  it('refuses an architecture that is none', async () => {
    const ended = await ingot(['demo', '--arch', 'ampere']);
    expect([ended.code, ended.stderr]).toEqual([
      2,
      'error: --arch: "ampere" is not an architecture, as in sm_90\n',
    ]);
  });
});
