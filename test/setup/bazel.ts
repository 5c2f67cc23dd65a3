import { execFile } from 'node:child_process';
import { cp, glob, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FIXTURE = join(import.meta.dirname, '../e2e/bazel');
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
/** For its server, should the test be killed. */
const IDLE_SECONDS = 60;

/** How one Bazel command ended, with the counts of its closing line "N processes: …". */
export interface BazelRun {
  readonly exitCode: number;
  /** stdout, then stderr. */
  readonly output: string;
  /** By kind, as Bazel names them: `internal`, `remote`, `remote cache hit`, `local`, `processwrapper-sandbox`. */
  readonly processes: ReadonlyMap<string, number>;
}

/**
 * A real Bazel 4.2.3 (Debian's bazel-bootstrap) on a copy of the C++ workspace in `test/e2e/bazel`, kept from the
 * network by overriding its external repositories. Its server, which the first command starts, ends with it.
 */
export class Bazel implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<Bazel> {
    const folder = await mkdtemp(join(tmpdir(), 'ingot-bazel-'));
    await cp(FIXTURE, folder, { recursive: true });
    return new Bazel(folder);
  }

  /** `bazel COMMAND ARGS…`; never throws for a failed build. */
  run(command: string, ...args: readonly string[]): Promise<BazelRun> {
    const startup = ['--nohome_rc', `--max_idle_secs=${IDLE_SECONDS}`, `--output_user_root=${this.#outputs}`];
    const overrides = ['build', 'test', 'clean', 'run'].includes(command)
      ? [
          `--override_repository=rules_cc=${this.#folder}/rules_cc`,
          '--override_repository=rules_java=/usr/share/bazel/rules/java',
          '--override_repository=rules_proto=/usr/share/bazel/rules/proto',
          `--override_repository=remote_coverage_tools=${this.#folder}/remote_coverage_tools`,
        ]
      : [];
    return new Promise((resolve, reject) => {
      execFile(
        'bazel',
        [...startup, command, '--color=no', '--curses=no', ...overrides, ...args],
        { cwd: this.workspace, maxBuffer: OUTPUT_BYTES_MAX },
        (error, stdout, stderr) => {
          if (error !== null && typeof error.code !== 'number') {
            const hint =
              'install it with: apt-get install -y --no-install-recommends bazel-bootstrap bazel-rules-java bazel-rules-proto';
            reject(new Error(`bazel did not run (${error.message}); ${hint}`));
            return;
          }
          resolve({
            exitCode: Number(error?.code ?? 0),
            output: stdout + stderr,
            processes: processCounts(stderr),
          });
        },
      );
    });
  }

  get #outputs(): string {
    return join(this.#folder, 'output');
  }

  get workspace(): string {
    return join(this.#folder, 'workspace');
  }

  /** An output below `bazel-bin`, as text. */
  output(path: string): Promise<string> {
    return readFile(join(this.workspace, 'bazel-bin', path), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for await (const path of glob(join(this.#outputs, '*/server/server.pid.txt'))) {
      process.kill(Number(await readFile(path, 'utf8')), 'SIGKILL');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function processCounts(stderr: string): Map<string, number> {
  const line = stderr.match(/(\d+) process(?:es)?: (.*)\.$/m)?.[2] ?? '';
  const counts = new Map<string, number>();
  for (const [, count, kind] of line.matchAll(/(\d+) ([a-z -]+)/g)) {
    if (kind !== undefined) counts.set(kind.trim(), Number(count));
  }
  return counts;
}
