import { expect, test } from 'vitest';
import { Command } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { checkCommand } from '../../../scheduler/admission/check-command.ts';
import { thrown } from '../../setup/rejection.ts';

const sound = Command.create({
  arguments: ['cc', '-c', '', 'a b'],
  environmentVariables: [
    { name: 'PATH', value: '/bin:/usr/bin' },
    { name: 'EMPTY', value: '' },
  ],
  workingDirectory: 'work/here',
  outputPaths: ['a.out', 'out/dir', ''],
});

test('takes what can run', () => {
  expect(() => checkCommand(sound)).not.toThrow();
  expect(() => checkCommand(Command.create({ arguments: ['true'] }))).not.toThrow();
});

test.each([
  [{ arguments: [] }, 'command names no program to run'],
  [{ arguments: [''] }, 'command names no program to run'],
  [{ arguments: ['cc', 'a\0b'] }, 'command argument "a\\u0000b" contains a NUL'],
  [
    { environmentVariables: [{ name: '', value: 'x' }] },
    'environment variable name "" is empty or contains = or NUL',
  ],
  [
    { environmentVariables: [{ name: 'A=B', value: 'x' }] },
    'environment variable name "A=B" is empty or contains = or NUL',
  ],
  [{ environmentVariables: [{ name: 'A', value: 'x\0' }] }, 'environment variable "A" contains a NUL'],
  [
    {
      environmentVariables: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    },
    'environment variable "A" is given twice',
  ],
  [{ workingDirectory: '/tmp' }, 'working_directory "/tmp" is absolute, expected a relative path'],
  [{ workingDirectory: 'a//b' }, 'working_directory "a//b": its segment "" is empty'],
  [{ outputPaths: ['../x'] }, 'output path "../x": its segment ".." leads elsewhere'],
  [{ outputPaths: ['x/'] }, 'output path "x/": its segment "" is empty'],
  [{ outputFiles: ['/etc/passwd'] }, 'output file "/etc/passwd" is absolute, expected a relative path'],
  [{ outputFiles: [''] }, 'output file is empty'],
  [{ outputDirectories: ['a/./b'] }, 'output directory "a/./b": its segment "." leads elsewhere'],
])('refuses %j', (changes, message) => {
  const error = thrown(() => checkCommand({ ...sound, ...changes }));
  expect([error.code, error.message]).toEqual([Code.INVALID_ARGUMENT, message]);
});
