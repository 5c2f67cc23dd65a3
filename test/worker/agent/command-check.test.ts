import { describe, expect, test } from 'vitest';
import { Command } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { checkCommand } from '../../../worker/agent/command-check.ts';
import { thrown } from '../../setup/rejection.ts';

const variable = (name: string, value = '') => ({ name, value });

describe('checkCommand', () => {
  test.each<[string, Partial<Command>, string]>([
    ['no arguments', { arguments: [] }, 'command has no arguments, not even a program'],
    ['an empty program', { arguments: [''] }, 'command has no arguments, not even a program'],
    ['a NUL in an argument', { arguments: ['a', 'b\0'] }, 'command argument 1 contains a NUL'],
    [
      'a variable with = in its name',
      { environmentVariables: [variable('A=B')] },
      'environment variable "A=B" has a name or value no process can have',
    ],
    [
      'a variable without a name',
      { environmentVariables: [variable('')] },
      'environment variable "" has a name or value no process can have',
    ],
    [
      'a variable given twice',
      { environmentVariables: [variable('A', '1'), variable('A', '2')] },
      'environment variable "A" is given twice',
    ],
    [
      'a working directory that leads out',
      { workingDirectory: '../x' },
      'working_directory "../x": its segment ".." leads elsewhere',
    ],
    [
      'an absolute output',
      { outputPaths: ['/etc/x'] },
      'output_paths "/etc/x" is absolute, expected a relative path',
    ],
    [
      'an output that leads out',
      { outputPaths: ['a/../../x'] },
      'output_paths "a/../../x": its segment ".." leads elsewhere',
    ],
    [
      'an output with an empty segment',
      { outputFiles: ['a//b'] },
      'output_files "a//b": its segment "" is empty',
    ],
    ['an output file without a path', { outputFiles: [''] }, 'output_files is empty'],
  ])('refuses %s', (_, command, message) => {
    const error = thrown(() => checkCommand(Command.create({ arguments: ['true'], ...command })));
    expect(error).toMatchObject({ code: Code.INVALID_ARGUMENT, message });
  });

  test('takes a command whose output is its whole working directory', () => {
    checkCommand(Command.create({ arguments: ['true'], workingDirectory: 'a/b', outputPaths: [''] }));
  });
});
