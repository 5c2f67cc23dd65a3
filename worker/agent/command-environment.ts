import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import type { Command } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { CommandVariable } from '../../proto/gen/ingot/v1/launcher.ts';
import type { SandboxLevel } from '../sandbox/sandbox-level.ts';

/** PATH of a command that sets none, after the folders of the toolchains it asks for. */
export const DEFAULT_PATH = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/sbin', '/sbin'];
/** Where temporary files go in a sandbox; a tmpfs of the action's own. */
const TEMPORARY_FOLDER = '/tmp';

/**
 * The whole environment of a command: its own variables, exactly as given, and where it does not set them, PATH, HOME,
 * TMPDIR and what its toolchains set. Nothing of the worker's. Without a sandbox the launcher adds HOME and TMPDIR.
 */
export function commandEnvironment(
  { environmentVariables }: Pick<Command, 'environmentVariables'>,
  toolchains: readonly Pick<Toolchain, 'pathEntries' | 'environment'>[],
  level: SandboxLevel,
): CommandVariable[] {
  const variables = new Map<string, string>();
  const path = [...toolchains.flatMap(({ pathEntries }) => pathEntries), ...DEFAULT_PATH];
  variables.set('PATH', path.join(':'));
  if (level !== 'none') {
    variables.set('HOME', TEMPORARY_FOLDER);
    variables.set('TMPDIR', TEMPORARY_FOLDER);
  }
  for (const { environment } of toolchains) {
    for (const [name, value] of Object.entries(environment)) variables.set(name, value);
  }
  for (const { name, value } of environmentVariables) variables.set(name, value);
  return Array.from(variables, ([name, value]) => ({ name, value }));
}
