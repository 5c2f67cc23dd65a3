import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { RunEnded_Termination as Termination } from '../../../proto/gen/ingot/v1/launcher.ts';
import type { Cgroup } from '../../../worker/launcher/cgroup.ts';
import { CommandRun, type CommandRunOptions, ProcessesRemain } from '../../../worker/launcher/command-run.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

// Without a sandbox; with one, test/worker/sandbox has the tests.

/** A control group with a process that nothing can kill: this one. */
const HAUNTED: Cgroup = {
  joinFiles: [],
  usage: () => ({}),
  members: () => [process.pid],
  killAll: () => undefined,
  remove: () => undefined,
};

async function run(script: string, options: Partial<CommandRunOptions> = {}) {
  await using folder = await tempFolder();
  const stdout = join(folder.path, 'stdout');
  const fd = openSync(stdout, 'a+');
  const stderrFd = openSync(join(folder.path, 'stderr'), 'a+');
  try {
    const command = new CommandRun({
      commandLine: { file: '/bin/sh', arguments: ['-c', script], environment: { PATH: '/usr/bin:/bin' } },
      workingFolder: folder.path,
      stdoutFd: fd,
      stderrFd,
      seccompFd: undefined,
      sandboxed: false,
      cgroup: undefined,
      timeoutMs: 5000,
      killGraceMs: 50,
      streamBytesMax: 1000,
      ...options,
    });
    const result = await command.run();
    return { ...result, text: readFileSync(stdout, 'utf8') };
  } finally {
    closeSync(fd);
    closeSync(stderrFd);
  }
}

describe('CommandRun', () => {
  test('tells the exit code and how long it took', async () => {
    const { termination, exitCode, durationMs, text } = await run('echo hello; exit 3');
    expect({ termination, exitCode, text }).toEqual({
      termination: Termination.EXITED,
      exitCode: 3,
      text: 'hello\n',
    });
    expect(durationMs).toBeGreaterThan(0);
  });

  test('tells the death by a signal as a shell does', async () => {
    expect(await run('kill -SEGV $$')).toMatchObject({ termination: Termination.EXITED, exitCode: 139 });
  });

  test('ends a whole process group, first gently', async () => {
    const script = `trap 'echo asked' TERM; sleep 1000 & while :; do wait; done`;
    const { termination, text } = await run(script, { timeoutMs: 100 });
    expect(termination).toBe(Termination.TIMED_OUT);
    expect(text).toContain('asked\n');
  });

  test('a command that outgrew the limit and was gone before anyone looked is over the limit too', async () => {
    const { termination, text } = await run('seq 1000');
    expect(termination).toBe(Termination.OUTPUT_LIMIT);
    expect(text.slice(1000)).toContain('[ingot: stdout was cut here, at its limit of 1000 bytes]');
  });

  test('a program that cannot be started is an error', async () => {
    const commandLine = { file: '/nowhere/sh', arguments: [], environment: {} };
    expect(await rejection(run('', { commandLine }))).toMatchObject({
      code: Code.INTERNAL,
      message: expect.stringMatching(/^start the command: ENOENT: /),
    });
  });

  test('does not end while a process of it lives', async () => {
    const error = await rejection(run('true', { cgroup: HAUNTED, deathMs: 50 }));
    expect(error).toBeInstanceOf(ProcessesRemain);
    expect(error).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'end the command: 1 of its processes did not die within 50 ms',
    });
  });
});
