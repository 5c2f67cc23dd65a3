import { listToolchains } from '../../core/toolchain/toolchain-folder.ts';
import type { CommandContext } from '../command-context.ts';
import { ExitCode } from '../exit-code.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { formatTable } from '../output/format-table.ts';
import { toolchainFacts } from './toolchain-facts.ts';
import { chosenDataFolder, toolchainsFolder } from './toolchains-folder.ts';

/** Of `ingot toolchain ls`. */
export interface ListToolchainsOptions {
  readonly data?: string;
}

/** `ingot toolchain ls`: those that are there and whole; a damaged one is a warning, and exit code 1. */
export async function showToolchains(
  { io, printer, signal }: CommandContext,
  { data }: ListToolchainsOptions,
): Promise<number> {
  const { environment, cwd } = io;
  const folder = toolchainsFolder(chosenDataFolder({ data, environment, cwd }));
  const { toolchains, problems } = await listToolchains(folder, { signal });

  const rows = toolchains.map((toolchain) => [
    toolchain.id,
    toolchain.build,
    toolchain.source === 'host' ? 'this machine' : 'downloaded',
    formatBytes(toolchain.bytes),
    toolchain.hostRoot,
  ]);
  for (const line of formatTable(['TOOLCHAIN', 'BUILD', 'SOURCE', 'SIZE', 'ROOT'], rows)) printer.line(line);
  if (toolchains.length === 0 && problems.length === 0) {
    printer.line(`no toolchains in ${folder}; \`ingot toolchain add cuda\` brings one`);
  }
  for (const { error } of problems) printer.warn(error.message);
  printer.result({
    folder,
    toolchains: toolchains.map(toolchainFacts),
    problems: problems.map((problem) => ({ folder: problem.folder, message: problem.error.message })),
  });
  return problems.length === 0 ? ExitCode.OK : ExitCode.FAILED;
}
