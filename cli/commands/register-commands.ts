import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import { registerCache } from './cache.ts';
import { registerCancel } from './cancel.ts';
import { registerCompletion } from './completion.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { registerDownload } from './download.ts';
import { registerLogs } from './logs.ts';
import { registerLs } from './ls.ts';
import { registerRun } from './run.ts';
import { registerScheduler } from './scheduler.ts';
import { registerStatus } from './status.ts';
import { registerToken } from './token.ts';
import { registerToolchain } from './toolchain.ts';
import { registerUp } from './up.ts';
import { registerUpload } from './upload.ts';
import { registerVerify } from './verify.ts';
import { registerWorker } from './worker.ts';

/** Hangs every command into the program, in the order the help shows them. */
export function registerCommands(program: Command, host: CommandHost): void {
  registerDemo(program, host);
  registerUp(program, host);
  registerRun(program, host);
  registerStatus(program, host);
  registerLogs(program, host);
  registerCancel(program, host);
  registerUpload(program, host);
  registerDownload(program, host);
  registerLs(program, host);
  registerCache(program, host);
  registerScheduler(program, host);
  registerWorker(program, host);
  registerToken(program, host);
  registerToolchain(program, host);
  registerVerify(program, host);
  registerDoctor(program, host);
  registerCompletion(program, host);
}
