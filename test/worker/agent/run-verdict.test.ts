import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { RunEnded, RunEnded_Termination as Termination } from '../../../proto/gen/ingot/v1/launcher.ts';
import { ResourceUsage } from '../../../proto/gen/ingot/v1/usage.ts';
import { judgeRun } from '../../../worker/agent/run-verdict.ts';

const LIMITS = { memoryBytes: 1000, cpuMillis: 0, pids: 50, fileBytes: 0, streamBytes: 77, tmpBytes: 0 };

function judge(ended: Partial<RunEnded>, usage: Partial<ResourceUsage> = {}) {
  const run = RunEnded.create({ durationUs: 1_500_000, ...ended, usage: ResourceUsage.create(usage) });
  return judgeRun(run, { workerId: 'w1', timeoutMs: 2000, limits: LIMITS });
}

describe('judgeRun', () => {
  test('a command that ended is no error, whatever its exit code', () => {
    expect(judge({ exitCode: 3 }, { memoryPeakBytes: 5_000_000 })).toEqual({
      status: undefined,
      message: 'exited with code 3 (worker w1, 1.5 s, memory peak 5 MiB)',
      uncacheableReason: '',
    });
  });

  test('a program that is not there is an exit code, as in a shell', () => {
    const ended = { termination: Termination.NOT_STARTED, exitCode: 127, message: 'nvcc: command not found' };
    expect(judge(ended)).toMatchObject({
      status: undefined,
      message: 'not started: nvcc: command not found (worker w1, 1.5 s)',
    });
  });

  test.each<[string, Partial<RunEnded>, Partial<ResourceUsage>, Code, string]>([
    [
      'a timeout',
      { termination: Termination.TIMED_OUT },
      {},
      Code.DEADLINE_EXCEEDED,
      'the command did not end within its timeout of 2000 ms',
    ],
    [
      'a timeout of a fork bomb',
      { termination: Termination.TIMED_OUT },
      { pidsRefused: 9 },
      Code.DEADLINE_EXCEEDED,
      'the command did not end within its timeout of 2000 ms; the limit of 50 processes and threads was reached',
    ],
    [
      'a cancel',
      { termination: Termination.CANCELLED },
      {},
      Code.CANCELLED,
      'the operation was cancelled while the command ran',
    ],
    [
      'too much output',
      { termination: Termination.OUTPUT_LIMIT },
      {},
      Code.RESOURCE_EXHAUSTED,
      'stdout or stderr reached its limit of 77 bytes',
    ],
    [
      'a process killed for memory although the command exits with 0',
      { exitCode: 0 },
      { oomKills: 1 },
      Code.RESOURCE_EXHAUSTED,
      'the memory limit of 1000 bytes was reached and 1 process killed for it',
    ],
    [
      'refused processes of a command that fails',
      { exitCode: 2 },
      { pidsRefused: 4 },
      Code.RESOURCE_EXHAUSTED,
      'the limit of 50 processes and threads was reached',
    ],
  ])('%s is an error that names the limit, and is never cached', (_, ended, usage, code, message) => {
    expect(judge(ended, usage)).toEqual({
      status: { code, message, details: [] },
      message: `${message} (worker w1, 1.5 s)`,
      uncacheableReason: message,
    });
  });

  test('refused processes of a command that succeeds only keep it out of the cache', () => {
    expect(judge({ exitCode: 0 }, { pidsRefused: 4 })).toMatchObject({
      status: undefined,
      uncacheableReason: 'the limit of 50 processes and threads was reached',
    });
  });
});
