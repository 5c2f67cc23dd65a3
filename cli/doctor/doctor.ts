import type { CommandContext } from '../command-context.ts';
import { ExitCode } from '../exit-code.ts';
import type { Printer } from '../output/printer.ts';
import { withSystemFolders } from '../toolchain/find-program.ts';
import { runProgram } from '../toolchain/run-program.ts';
import { chosenDataFolder } from '../toolchain/toolchains-folder.ts';
import { examineMachine } from './examine-machine.ts';
import type { Finding } from './finding.ts';

const MARKS = { ok: '✔', missing: '✘', note: '–' } as const;

/** Of `ingot doctor`. */
export interface DoctorOptions {
  readonly data?: string;
}

/** `ingot doctor`: exit code 0 when all that a farm needs is there, 1 otherwise. */
export async function doctor(
  { io, printer, signal }: CommandContext,
  { data }: DoctorOptions,
): Promise<number> {
  const { cwd } = io;
  const environment = { ...io.environment, PATH: withSystemFolders(io.environment.PATH) };
  const uid = process.getuid?.();
  const findings = await examineMachine(
    { environment, runProgram, uid, signal },
    { dataFolder: chosenDataFolder({ data, environment, cwd }), nodeVersion: process.versions.node },
  );
  return reportFindings(findings, printer);
}

/** Prints findings with their fixes, and returns the exit code they mean. */
export function reportFindings(findings: readonly Finding[], printer: Printer): number {
  for (const { check, status, detail, fix } of findings) {
    printer.line(`${MARKS[status]} ${check}: ${detail}`);
    if (fix !== undefined) printer.line(`    ${fix}`);
  }
  const missing = findings.filter(({ status }) => status === 'missing').map(({ check }) => check);
  printer.line(missing.length === 0 ? 'a farm can run here' : `to be mended first: ${missing.join(', ')}`);
  printer.result({ ready: missing.length === 0, findings });
  return missing.length === 0 ? ExitCode.OK : ExitCode.FAILED;
}
