import { describe, expect, it } from 'vitest';
import { main } from '../../cli/program.ts';
import { CapturedStream } from './captured-stream.ts';
import { tempFolder } from './temp-folder.ts';

async function ingot(argv: string[], environment: Record<string, string> = {}) {
  const [stdout, stderr] = [new CapturedStream(), new CapturedStream()];
  const io = { environment: { HOME: tempFolder(), ...environment }, cwd: tempFolder(), stdout, stderr };
  const exitCode = await main(argv, io);
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

/** Nothing listens there: the port is reserved for a service nobody runs. */
const NOBODY = ['--endpoint', '127.0.0.1:1'];

describe('ingot', () => {
  it('prints its version', async () => {
    expect(await ingot(['--version'])).toEqual({ exitCode: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it('suggests a command for a mistyped one', async () => {
    const { exitCode, stderr } = await ingot(['stauts']);
    expect([exitCode, stderr]).toEqual([
      2,
      "error: unknown command 'stauts'\n(Did you mean status?)\n(--help shows what is expected)\n",
    ]);
  });

  it('suggests a flag for a mistyped one', async () => {
    const { exitCode, stderr } = await ingot(['run', '--outputt', 'x', '--', 'true']);
    expect([exitCode, stderr]).toEqual([
      2,
      "error: unknown option '--outputt'\n(Did you mean --output?)\n(--help shows what is expected)\n",
    ]);
  });

  it('shows help without a command, and ends with 2', async () => {
    const { exitCode, stderr } = await ingot([]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Usage: ingot [options] [command]');
  });

  it.each(['run', 'status', 'logs', 'cancel', 'upload', 'download', 'ls', 'completion'])(
    'explains %s with the global options',
    async (name) => {
      const { exitCode, stdout } = await ingot([name, '--help']);
      expect(exitCode).toBe(0);
      expect(stdout).toContain(`Usage: ingot ${name}`);
      expect(stdout).toContain('--endpoint <host:port>');
    },
  );

  it('names the farm that does not answer, and what to do', async () => {
    const { exitCode, stdout, stderr } = await ingot(['status', ...NOBODY]);
    expect(exitCode).toBe(69);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: .*127\.0\.0\.1:1.*ECONNREFUSED/);
    expect(stderr).toContain(
      '\nhint: start a farm on this machine with `ingot up`, or name another with --endpoint or INGOT_ENDPOINT\n',
    );
  });

  it('fails in JSON when asked to', async () => {
    const { exitCode, stdout } = await ingot(['--json', 'run', '--', 'true'], {
      INGOT_ENDPOINT: '127.0.0.1:1',
    });
    expect(exitCode).toBe(69);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'UNAVAILABLE' } });
  });

  it.each([
    [['status', '--endpoint', 'nowhere'], '--endpoint: "nowhere" is not HOST:PORT, as in 127.0.0.1:8980'],
    [['status', '--quiet', '--verbose'], '--quiet and --verbose exclude each other'],
    [
      ['run', '--output', '.', '--', 'true'],
      '--output: the whole directory cannot be an output; name what is made in it',
    ],
    [
      ['run', '--output', 'a', '--output', 'a/b', '--', 'true'],
      '--output: a/b is inside of a, which is an output too',
    ],
    [['run', '--env', 'A=1', '--env', 'A=2', '--', 'true'], '--env: A is given twice'],
    [
      ['run', '--timeout', 'soon', '--', 'true'],
      '--timeout: "soon" is not a time with its unit, as in 30s, 10m or 1h30m',
    ],
    [['download', 'xyz', 'f'], 'digest "xyz": expected HASH/SIZE, as `ingot upload` prints it'],
    [['download', '-d', '-t', 'xyz', 'f'], '--directory and --tree exclude each other'],
    [['completion', 'tcsh'], 'completion: "tcsh" is not known, expected bash, zsh, fish'],
  ])('refuses %j before it calls anyone', async (argv, message) => {
    expect(await ingot(argv)).toEqual({ exitCode: 2, stdout: '', stderr: `error: ${message}\n` });
  });

  it('refuses an input from outside of the directory', async () => {
    const { exitCode, stderr } = await ingot(['run', '--input', '/etc/passwd', ...NOBODY, '--', 'true']);
    expect(exitCode).toBe(65);
    expect(stderr).toMatch(/^error: input "\/etc\/passwd" is outside of /);
  });
});
