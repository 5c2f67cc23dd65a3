import { checkRelativePath } from '../../core/directory.ts';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { Command } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** INVALID_ARGUMENT unless the command can be run at all and stays, by what it says, inside its input root. */
export function checkCommand(command: Command): void {
  const [program] = command.arguments;
  if (program === undefined || program === '') throw invalidArgument('command names no program to run');
  for (const argument of command.arguments) {
    if (argument.includes('\0')) throw invalidArgument(`command argument ${quote(argument)} contains a NUL`);
  }
  checkEnvironment(command);
  checkRelativePath(command.workingDirectory, 'working_directory', { emptyAllowed: true });
  for (const path of command.outputPaths) checkRelativePath(path, 'output path', { emptyAllowed: true });
  for (const path of command.outputFiles) checkRelativePath(path, 'output file');
  for (const path of command.outputDirectories) {
    checkRelativePath(path, 'output directory', { emptyAllowed: true });
  }
}

function checkEnvironment({ environmentVariables }: Command): void {
  const names = new Set<string>();
  for (const { name, value } of environmentVariables) {
    if (name === '' || /[=\0]/.test(name)) {
      throw invalidArgument(`environment variable name ${quote(name)} is empty or contains = or NUL`);
    }
    if (value.includes('\0')) throw invalidArgument(`environment variable ${quote(name)} contains a NUL`);
    if (names.has(name)) throw invalidArgument(`environment variable ${quote(name)} is given twice`);
    names.add(name);
  }
}
