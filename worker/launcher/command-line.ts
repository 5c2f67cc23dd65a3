import type { CommandVariable } from '../../proto/gen/ingot/v1/launcher.ts';

/** Sizes in `ulimit -f` are counted in blocks, as POSIX has it. */
const ULIMIT_BLOCK_BYTES = 512;

/** A program to start, with its arguments and whole environment. */
export interface CommandLine {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The environment of our own programs on the way to the command: theirs is no business of the action. */
export const LAUNCH_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
};

/** What is set for a process before it becomes the command. */
export interface ProcessPreparation {
  /** Control groups to join. */
  readonly joinFiles: readonly string[];
  /** Largest file it may write; 0 for no limit. */
  readonly fileBytes: number;
  /** Processes and threads its user may have; 0 for no limit. Only of use for a user of its own. */
  readonly userPids: number;
}

/**
 * The command line behind a shell that first joins control groups and sets limits, and then becomes the command. So
 * there is no moment at which a process of the action is outside of them.
 */
export function preparedCommandLine(command: CommandLine, preparation: ProcessPreparation): CommandLine {
  const { joinFiles, fileBytes, userPids } = preparation;
  const script = [
    'set -e',
    ...joinFiles.map((file) => `echo 0 > ${shellQuoted(file)}`),
    'ulimit -c 0',
    ...(fileBytes > 0 ? [`ulimit -f ${Math.ceil(fileBytes / ULIMIT_BLOCK_BYTES)}`] : []),
    // dash calls it p, bash u.
    ...(userPids > 0 ? [`ulimit -p ${userPids} 2>/dev/null || ulimit -u ${userPids}`] : []),
    'exec "$@"',
  ].join('; ');
  return {
    file: '/bin/sh',
    arguments: ['-c', script, 'sh', command.file, ...command.arguments],
    environment: command.environment,
  };
}

/** The command line as another real user, who cannot become anyone else. */
export function commandLineAs(
  command: CommandLine,
  { setpriv, userId, groupId }: { setpriv: string; userId: number; groupId: number },
): CommandLine {
  const who = ['--reuid', String(userId), '--regid', String(groupId), '--clear-groups', '--no-new-privs'];
  return {
    file: setpriv,
    arguments: [...who, '--', command.file, ...command.arguments],
    environment: command.environment,
  };
}

/** Variables as Node wants them; the last one of a name counts. */
export function environmentOf(variables: readonly CommandVariable[]): Record<string, string> {
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
