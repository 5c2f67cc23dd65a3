import type { NamedValues } from '../client/action-message.ts';
import { pathInRoot } from '../client/local-path.ts';
import type { ProgramIo } from '../command-context.ts';
import { parseDurationOption, parsePairs } from '../parse-option.ts';
import { UsageError } from '../usage-error.ts';
import type { RunOptions } from './run-options.ts';

/** What `ingot run` was asked for, checked. */
export interface RunRequest {
  readonly commandLine: readonly string[];
  readonly rootPath: string;
  readonly inputs: readonly string[];
  /** Relative to the root. */
  readonly outputPaths: readonly string[];
  readonly platform: NamedValues;
  readonly environmentVariables: NamedValues;
  readonly timeoutMs: number | undefined;
  readonly skipCacheLookup: boolean;
  readonly doNotCache: boolean;
}

/** Checks the flags of `ingot run`; a {@link UsageError} or INVALID_ARGUMENT names the one that is wrong. */
export function parseRunRequest(
  options: RunOptions,
  commandLine: readonly string[],
  io: ProgramIo,
): RunRequest {
  const outputPaths = (options.output ?? []).map((output) => {
    const path = pathInRoot(io.cwd, output, 'output');
    if (path === '')
      throw new UsageError('--output: the whole directory cannot be an output; name what is made in it');
    return path;
  });
  for (const path of outputPaths) {
    const parent = outputPaths.find((other) => path.startsWith(`${other}/`));
    if (parent !== undefined)
      throw new UsageError(`--output: ${path} is inside of ${parent}, which is an output too`);
  }
  const environmentVariables = parsePairs(options.env ?? [], '--env', (name) => io.environment[name]);
  const twice = environmentVariables.find(({ name }, index) =>
    environmentVariables.some((other, at) => at < index && other.name === name),
  );
  if (twice !== undefined) throw new UsageError(`--env: ${twice.name} is given twice`);
  return {
    commandLine,
    rootPath: io.cwd,
    inputs: options.input ?? [],
    outputPaths: [...new Set(outputPaths)],
    platform: parsePairs(options.platform ?? [], '--platform'),
    environmentVariables,
    timeoutMs: options.timeout === undefined ? undefined : parseDurationOption(options.timeout, '--timeout'),
    skipCacheLookup: !options.cacheLookup,
    doNotCache: options.doNotCache === true,
  };
}
