import type { FarmAddress } from './client/farm-address.ts';
import type { ConsolePrinter, OutputStream } from './output/console-printer.ts';

/** What of the process the program touches; tests bring their own. */
export interface ProgramIo {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** What a command is given besides its own options. */
export interface CommandContext {
  readonly io: ProgramIo;
  readonly printer: ConsolePrinter;
  /** Which farm, and who asks. */
  readonly farm: FarmAddress;
  /** The version of this ingot. */
  readonly version: string;
  /** Aborts at the first Ctrl-C or SIGTERM, with CANCELLED. */
  readonly signal: AbortSignal;
}

/** A command's work: its exit code, or nothing for 0. `options` are commander's, in camel case. */
export type CommandAction<O> = (
  context: CommandContext,
  options: O,
  args: readonly string[],
) => Promise<number> | Promise<void>;

/** How a command is hung into the program: wraps its work for commander's `.action()`. */
export interface CommandHost {
  action<O>(run: CommandAction<O>): (...args: unknown[]) => Promise<void>;
}
