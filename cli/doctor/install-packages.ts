import { stat } from 'node:fs/promises';
import { findProgram } from '../toolchain/find-program.ts';
import type { ProgramResult, RunProgram } from '../toolchain/run-program.ts';
import { installCommand } from './install-command.ts';
import type { SystemPackage } from './system-package.ts';

/** A Bazel with its Java takes minutes on a slow line. */
const APT_TIMEOUT_MS = 20 * 60_000;
/** Another apt-get may be at work; this one waits its turn. */
const LOCK_WAIT_SECONDS = 300;
const REASON_LINES_MAX = 3;

interface InstallPackagesOptions {
  readonly packages: readonly SystemPackage[];
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number | undefined;
  /** What follows from a package that cannot be had: a sentence. */
  readonly without: string;
  readonly say: (text: string) => void;
}

/** Installs what is missing when root has apt-get, else says what is and how to get it. True when all is there. */
export async function installPackages(options: InstallPackagesOptions): Promise<boolean> {
  const { uid, say, environment, without } = options;
  const missing = await missingPackages(options);
  if (missing.length === 0) return true;
  const names = missing.map(({ name }) => name);
  if (uid !== 0 || (await findProgram('apt-get', environment.PATH)) === undefined) {
    for (const { name, gives, use } of missing) say(`missing: ${gives} (Debian package ${name}), for ${use}`);
    say(`install with: ${installCommand(names, uid)}`);
    say(without);
    return false;
  }
  say(`installing ${names.join(', ')}`);
  const failure =
    (await aptGet(['update', '--quiet'], options)) ??
    (await aptGet(['install', '--quiet', '--yes', '--no-install-recommends', ...names], options));
  const still = await missingPackages(options);
  for (const { name, gives, use } of still)
    say(`still missing: ${gives} (Debian package ${name}), for ${use}`);
  if (failure !== undefined) say(failure);
  return still.length === 0;
}

/** Those whose program or path is not there. */
export async function missingPackages({
  packages,
  environment,
}: Pick<InstallPackagesOptions, 'packages' | 'environment'>): Promise<SystemPackage[]> {
  const missing: SystemPackage[] = [];
  for (const entry of packages) {
    const there = entry.gives.startsWith('/')
      ? await stat(entry.gives).catch(() => undefined)
      : await findProgram(entry.gives, environment.PATH);
    if (there === undefined) missing.push(entry);
  }
  return missing;
}

async function aptGet(
  args: readonly string[],
  { runProgram, environment }: InstallPackagesOptions,
): Promise<string | undefined> {
  const result = await runProgram(['apt-get', '-o', `DPkg::Lock::Timeout=${LOCK_WAIT_SECONDS}`, ...args], {
    environment: { ...environment, DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs: APT_TIMEOUT_MS,
  });
  if (result.exitCode === 0) return undefined;
  return `apt-get ${args.join(' ')} failed with exit code ${result.exitCode}: ${reasonOf(result)}`;
}

function reasonOf({ stdout, stderr }: ProgramResult): string {
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => line.startsWith('E:'));
  return (errors.length > 0 ? errors : lines).slice(-REASON_LINES_MAX).join('; ');
}
