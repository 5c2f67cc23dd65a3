import { isIngotError } from '../../core/error.ts';
import type { CommandContext } from '../command-context.ts';
import { addHostToolchain } from '../toolchain/add-host-toolchain.ts';
import { findHostNvcc } from '../toolchain/find-host-nvcc.ts';
import { runProgram } from '../toolchain/run-program.ts';
import { toolchainsFolder } from '../toolchain/toolchains-folder.ts';

/**
 * Makes the CUDA of this machine, where there is one, a toolchain that a worker on this data folder offers. What
 * cannot be used is a warning: a farm without it is still a farm.
 */
export async function adoptHostToolchain(
  { io, printer, signal }: CommandContext,
  data: string,
): Promise<void> {
  const { environment } = io;
  const { found, problems } = await findHostNvcc({ runProgram, environment, signal });
  for (const { message } of problems) printer.warn(message);
  if (found === undefined) return;
  const progress = printer.progress(`CUDA ${found.version} in ${found.root}`);
  try {
    const { added } = await addHostToolchain(found, {
      toolchainsFolder: toolchainsFolder(data),
      runProgram,
      environment,
      signal,
      nowMs: Date.now(),
      onEvent: ({ step }) => progress.update(0, step === 'identify' ? 'hashing its files' : 'trying it out'),
    });
    if (added) progress.done('added to the toolchains');
    else printer.liveEnd();
  } catch (error) {
    const reason = error instanceof Error && isIngotError(error.cause) ? error.cause : error;
    if (signal.aborted || !isIngotError(reason)) throw error;
    progress.fail(reason.message);
  }
}
