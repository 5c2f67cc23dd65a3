import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type CommandLine,
  commandLineAs,
  environmentOf,
  preparedCommandLine,
} from '../../../worker/launcher/command-line.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

function run({ file, arguments: args, environment }: CommandLine): string {
  return spawnSync(file, [...args], { env: environment, encoding: 'utf8' }).stdout;
}

function shell(script: string): CommandLine {
  return { file: '/bin/sh', arguments: ['-c', script], environment: { PATH: '/usr/bin:/bin' } };
}

describe('preparedCommandLine', () => {
  test('joins groups and sets limits before it becomes the command', async () => {
    await using folder = await tempFolder();
    const joinFiles = [join(folder.path, "it's"), join(folder.path, 'b')];
    const script = 'ulimit -f; ulimit -c; ulimit -p 2>/dev/null || ulimit -u; grep -c sh /proc/$PPID/comm';
    const prepared = preparedCommandLine(shell(script), { joinFiles, fileBytes: 10_000, userPids: 300 });
    const [blocks, core, pids] = run(prepared).split('\n');
    expect([blocks, core, pids]).toEqual(['20', '0', '300']);
    for (const file of joinFiles) expect(readFileSync(file, 'utf8')).toBe('0\n');
  });

  test('does not become the command when a group cannot be joined', () => {
    const joinFiles = ['/nowhere/cgroup.procs'];
    expect(run(preparedCommandLine(shell('echo ran'), { joinFiles, fileBytes: 0, userPids: 0 }))).toBe('');
  });

  test('passes arguments on as they are', () => {
    const command = {
      file: 'printf',
      arguments: ['%s|', 'a b', '$HOME', "'"],
      environment: { PATH: '/usr/bin' },
    };
    expect(run(preparedCommandLine(command, { joinFiles: [], fileBytes: 0, userPids: 0 }))).toBe(
      "a b|$HOME|'|",
    );
  });
});

test('commandLineAs changes user and gives up what could change it back', () => {
  const { file, arguments: args } = commandLineAs(shell('id'), {
    setpriv: '/usr/bin/setpriv',
    userId: 7,
    groupId: 8,
  });
  expect([file, ...args].join(' ')).toBe(
    '/usr/bin/setpriv --reuid 7 --regid 8 --clear-groups --no-new-privs -- /bin/sh -c id',
  );
});

test('environmentOf keeps the last value of a name', () => {
  const variables = [
    { name: 'A', value: '1' },
    { name: 'A', value: '2' },
  ];
  expect(environmentOf(variables)).toEqual({ A: '2' });
});
