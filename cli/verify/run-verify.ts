import { verifyCache } from '../../cache/verify/verify-cache.ts';
import type { CommandContext } from '../command-context.ts';
import { ExitCode } from '../exit-code.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { chosenDataFolder } from '../toolchain/toolchains-folder.ts';

/** Flags of `ingot verify`. */
export interface VerifyFlags {
  readonly data?: string;
  readonly repair?: boolean;
}

/** Problems that are printed; the rest is counted. All are in the JSON. */
const SHOWN_MAX = 100;
/** Time between two lines of progress. */
const PROGRESS_MS = 5_000;

/** `ingot verify`. */
export async function runVerify(
  context: CommandContext,
  { data, repair = false }: VerifyFlags,
): Promise<number> {
  const { printer, signal, io } = context;
  let toldMs = performance.now();
  const report = await verifyCache({
    data: chosenDataFolder({ data, environment: io.environment, cwd: io.cwd }),
    repair,
    signal,
    onProgress(readBytes, totalBytes) {
      if (performance.now() - toldMs < PROGRESS_MS) return;
      toldMs = performance.now();
      printer.note(`${formatBytes(readBytes)} of ${formatBytes(totalBytes)} read`);
    },
  });
  const { blobs, bytes, results, resultsElsewhere, problems } = report;
  for (const problem of problems.slice(0, SHOWN_MAX)) printer.line(problem);
  if (problems.length > SHOWN_MAX) printer.line(`and ${problems.length - SHOWN_MAX} more`);
  if (resultsElsewhere > 0) {
    printer.line(
      `${resultsElsewhere} results name blobs that are not here; the object store was not asked for them`,
    );
  }
  const seen = `${blobs} blobs (${formatBytes(bytes)}) and ${results} action results`;
  const outcome =
    problems.length === 0 ? 'all is well' : `${problems.length} problems${repair ? ', repaired' : ''}`;
  printer.line(`${seen} verified: ${outcome}`);
  printer.result({ ...report, repaired: repair });
  return problems.length === 0 ? ExitCode.OK : ExitCode.FAILED;
}
