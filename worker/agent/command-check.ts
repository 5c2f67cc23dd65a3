import { checkRelativePath } from '../../core/directory.ts';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { Command } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { declaredOutputs } from '../output/declared-outputs.ts';

/** More outputs than any rule declares; each is looked up by itself. */
const OUTPUTS_MAX = 100_000;

/** INVALID_ARGUMENT unless the command is one that can be run; paths lead nowhere outside the input root. */
export function checkCommand(command: Command): void {
  const { arguments: args, environmentVariables, workingDirectory } = command;
  if (args.length === 0 || args[0] === '')
    throw invalidArgument('command has no arguments, not even a program');
  for (const [index, argument] of args.entries()) {
    if (argument.includes('\0')) throw invalidArgument(`command argument ${index} contains a NUL`);
  }
  const names = new Set<string>();
  for (const { name, value } of environmentVariables) {
    if (name === '' || /[=\0]/.test(name) || value.includes('\0')) {
      throw invalidArgument(`environment variable ${quote(name)} has a name or value no process can have`);
    }
    if (names.has(name)) throw invalidArgument(`environment variable ${quote(name)} is given twice`);
    names.add(name);
  }
  checkRelativePath(workingDirectory, 'working_directory', { emptyAllowed: true });
  const outputs = declaredOutputs(command).length;
  if (outputs > OUTPUTS_MAX) {
    throw invalidArgument(`command declares ${outputs} outputs, at most ${OUTPUTS_MAX} are accepted`);
  }
}
