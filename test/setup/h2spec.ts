import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RunProgram } from '../../cli/toolchain/run-program.ts';

const FOLDER = fileURLToPath(new URL('../../.ingot/bin', import.meta.url));
const PROGRAM = `${FOLDER}/h2spec`;
const MODULE = 'github.com/summerwind/h2spec/cmd/h2spec@latest';
const BUILD_MS_MAX = 300_000;

/** The HTTP/2 conformance suite, where {@link installH2spec} brought it. */
export function h2specProgram(): string | undefined {
  try {
    accessSync(PROGRAM, constants.X_OK);
    return PROGRAM;
  } catch {
    // Safe: whoever asks says that it is not there.
    return undefined;
  }
}

interface InstallH2specOptions {
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly say: (text: string) => void;
}

/** Builds it with the machine's Go. Where there is none, the conformance test is skipped, and says so. */
export async function installH2spec({ runProgram, environment, say }: InstallH2specOptions): Promise<void> {
  if (h2specProgram() !== undefined) return;
  try {
    const { exitCode, stderr } = await runProgram(['go', 'install', MODULE], {
      environment: { ...environment, GOBIN: FOLDER },
      timeoutMs: BUILD_MS_MAX,
    });
    say(exitCode === 0 ? `h2spec built from ${MODULE}` : `h2spec not built: ${stderr.trim().slice(-500)}`);
  } catch (error) {
    say(`h2spec not built: ${error instanceof Error ? error.message : error}; its test is skipped`);
  }
}
