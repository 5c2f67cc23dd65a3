import { CommanderError } from 'commander';
import { IngotError } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { ExitCode, exitCodeOfStatus } from '../exit-code.ts';
import { HintedError } from '../hinted-error.ts';
import { UsageError } from '../usage-error.ts';

/** A failure as the program ends with it. */
export interface ErrorDescription {
  /** `error: …`, then hints; empty when all has been said. */
  readonly lines: readonly string[];
  readonly exitCode: number;
  /** The google.rpc code's name, for `--json`. */
  readonly code: string;
}

/** Turns anything a command throws into one clear line, hints and an exit code; the stack only when verbose. */
export function describeError(error: unknown, options: { readonly verbose: boolean }): ErrorDescription {
  if (error instanceof CommanderError) {
    // Commander has written its message, or the help that was asked for.
    const exitCode = error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE;
    return { lines: [], exitCode, code: 'USAGE' };
  }
  if (error instanceof UsageError) {
    return { lines: [`error: ${error.message}`], exitCode: ExitCode.USAGE, code: 'USAGE' };
  }
  if (error instanceof HintedError) {
    const inner = describeError(error.cause, options);
    const [first = '', ...rest] = inner.lines;
    return { ...inner, lines: [first, `hint: ${error.hint}`, ...rest] };
  }
  const trace = options.verbose ? traceOf(error) : [];
  if (error instanceof IngotError) {
    return {
      lines: [`error: ${error.message}`, ...trace],
      exitCode: exitCodeOfStatus(error.code),
      code: codeName(error.code),
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  const hint = options.verbose ? [] : ['hint: this is a fault of ingot; --verbose shows where'];
  return {
    lines: [`error: unexpected: ${message}`, ...hint, ...trace],
    exitCode: ExitCode.INTERNAL,
    code: 'INTERNAL',
  };
}

function codeName(code: Code): string {
  return Object.entries(Code).find(([, value]) => value === code)?.[0] ?? 'UNKNOWN';
}

function traceOf(error: unknown): string[] {
  const lines: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) lines.push(at.stack ?? at.message);
  return lines;
}
