import { rename, rm } from 'node:fs/promises';
import type { RunProgram } from '../../cli/toolchain/run-program.ts';
import { findVersitygw, VERSITYGW_VERSION, versitygwFolder } from './versitygw-program.ts';

const PACKAGE = `github.com/versity/versitygw/cmd/versitygw@${VERSITYGW_VERSION}`;
const WITHOUT = 'without it the tests against a real S3 server are skipped';
const BUILD_MS = 10 * 60_000;

interface InstallVersitygwOptions {
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly say: (text: string) => void;
}

/** Builds the S3 server the tests use from its public source, once: three minutes on two busy cores. */
export async function installVersitygw({
  runProgram,
  environment,
  say,
}: InstallVersitygwOptions): Promise<boolean> {
  if (findVersitygw() !== undefined) return true;
  const building = `${versitygwFolder}.building`;
  const startedMs = performance.now();
  try {
    await rm(building, { recursive: true, force: true });
    const { exitCode, stderr } = await runProgram(['go', 'install', '-trimpath', PACKAGE], {
      environment: { ...environment, GOBIN: building, CGO_ENABLED: '0' },
      timeoutMs: BUILD_MS,
    });
    if (exitCode !== 0) throw new Error(`go ended with ${exitCode}: ${stderr.trim().split('\n').at(-1)}`);
    await rm(versitygwFolder, { recursive: true, force: true });
    await rename(building, versitygwFolder);
    say(`versitygw ${VERSITYGW_VERSION} built in ${Math.round((performance.now() - startedMs) / 1000)} s`);
    return true;
  } catch (error) {
    say(`no versitygw: ${(error as Error).message}`);
    say(`build it with: GOBIN=${versitygwFolder} go install ${PACKAGE}`);
    say(WITHOUT);
    return false;
  }
}
