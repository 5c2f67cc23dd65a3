import { readdirSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unpackAny } from '../../../core/error-details.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import type { Commit } from '../../../proto/gen/ingot/v1/bus.ts';
import { ResourceUsage } from '../../../proto/gen/ingot/v1/usage.ts';
import { RESOURCE_USAGE_TYPE } from '../../../worker/agent/execution-metadata.ts';
import { isRunning } from '../../../worker/launcher/process-tree.ts';
import { describeStrict } from '../describe-strict.ts';
import { RunningWorker } from '../running-worker.ts';

// What happens to actions that take too much. See reliability R29; fork bombs and gigabytes are in test/e2e.

const MIB = 1024 * 1024;

describeStrict('limits', () => {
  let worker: RunningWorker;
  beforeAll(async () => {
    worker = await RunningWorker.start({ actionLog: '10000', actionPids: 20, killGrace: '200ms' });
  });
  afterAll(async () => {
    await worker?.[Symbol.asyncDispose]();
  });

  function run(script: string, options: { timeoutMs?: number; memoryBytes?: number } = {}): Promise<Commit> {
    const { timeoutMs, memoryBytes = 0 } = options;
    const sketch = { arguments: ['sh', '-c', script], command: { outputPaths: ['out'] } };
    return worker.commitOf({ ...sketch, ...(timeoutMs && { timeoutMs }) }, { reserved: { memoryBytes } });
  }

  function responseOf({ outcome }: Commit) {
    if (outcome?.$case !== 'response') throw new Error(`expected a response, got ${JSON.stringify(outcome)}`);
    return outcome.value;
  }

  function usageOf(commit: Commit): ResourceUsage {
    const [any] = responseOf(commit).result!.executionMetadata!.auxiliaryMetadata;
    return unpackAny(ResourceUsage, RESOURCE_USAGE_TYPE, any!)!;
  }

  function processesOf(uid: number): string[] {
    return readdirSync('/proc').filter(
      (name) => statSync(`/proc/${name}`, { throwIfNoEntry: false })?.uid === uid && isRunning(Number(name)),
    );
  }

  test('a command that runs out of time is asked to end, and keeps what it has by then', async () => {
    const script = `trap 'echo asked; echo last > out; exit 9' TERM; echo started; while :; do sleep 0.02; done`;
    const commit = await run(script, { timeoutMs: 200 });
    const { status, result, message } = responseOf(commit);
    expect(status).toMatchObject({
      code: Code.DEADLINE_EXCEEDED,
      message: 'the command did not end within its timeout of 200 ms',
    });
    expect(message).toMatch(/^the command did not end within its timeout of 200 ms \(worker w1, 0\.[2-9] s/);
    expect(Buffer.from(result!.stdoutRaw).toString()).toBe('started\nasked\n');
    expect(result!.outputFiles.map(({ path }) => path)).toEqual(['out']);
    expect(result!.exitCode).toBe(9);
    expect(commit.uncacheableReason).toBe('the command did not end within its timeout of 200 ms');
    expect(usageOf(commit).termination).toBe('timed out');
  });

  test('one that does not listen is killed after the grace, with all it has started', async () => {
    const script = `trap '' TERM; for i in 1 2 3; do setsid sh -c "trap '' TERM; sleep 1000" & done; sleep 1000`;
    const startMs = performance.now();
    const { result, status } = responseOf(await run(script, { timeoutMs: 100 }));
    const tookMs = performance.now() - startMs;
    expect(status?.code).toBe(Code.DEADLINE_EXCEEDED);
    expect(result!.exitCode).toBe(137);
    expect(tookMs).toBeGreaterThan(300);
    expect(tookMs).toBeLessThan(300 + 2000);
    for (const uid of slotUids(worker)) expect(processesOf(uid)).toEqual([]);
  });

  test('memory is limited, and the limit is named', async () => {
    const commit = await run('exec perl -e \'my $x = "a" x 300_000_000; print "ok"\'', {
      memoryBytes: 64 * MIB,
    });
    const { status, result } = responseOf(commit);
    expect(status).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'the memory limit of 67108864 bytes was reached and 1 process killed for it',
    });
    expect(result!.exitCode).toBe(137);
    expect(usageOf(commit)).toMatchObject({ oomKills: 1, sandbox: 'strict' });
    expect(usageOf(commit).memoryPeakBytes).toBeGreaterThan(60 * MIB);
  });

  test('a child killed for want of memory spoils even a result with exit code 0', async () => {
    const script = 'perl -e \'my $x = "a" x 300_000_000; print "ok"\' | cat; echo done';
    const commit = await run(script, { memoryBytes: 64 * MIB });
    const { status, result } = responseOf(commit);
    expect(result!.exitCode).toBe(0);
    expect(Buffer.from(result!.stdoutRaw).toString()).toBe('done\n');
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED);
    expect(commit.uncacheableReason).toMatch(/^the memory limit of 67108864 bytes was reached/);
  });

  test('files in /tmp count as memory', async () => {
    const { status } = responseOf(
      await run('head -c 200M /dev/zero > /tmp/f; true', { memoryBytes: 64 * MIB }),
    );
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED);
  });

  test('processes are limited', async () => {
    const commit = await run('for i in $(seq 50); do sleep 5 & done; wait', { timeoutMs: 5000 });
    const { status } = responseOf(commit);
    expect(status).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'the limit of 20 processes and threads was reached',
    });
    expect(usageOf(commit).pidsRefused).toBeGreaterThan(0);
  });

  test('output is cut at its limit, says so, and the command is ended', async () => {
    const commit = await run('echo head; yes; echo never > out');
    const { status, result } = responseOf(commit);
    expect(status).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'stdout or stderr reached its limit of 10000 bytes',
    });
    const text = Buffer.from(result!.stdoutRaw).toString();
    const notice = '\n[ingot: stdout was cut here, at its limit of 10000 bytes]\n';
    expect(text.startsWith('head\ny\n')).toBe(true);
    expect(text.slice(10_000)).toBe(notice);
    expect(result!.outputFiles).toEqual([]);
    const streamed = [...worker.logStreams.written.values()].at(-2);
    expect(streamed?.slice(-notice.length)).toBe(notice);
    expect(streamed).toHaveLength(10_000 + notice.length);
  });

  test('output is streamed while the command runs', async () => {
    const operationName = 'operations/live';
    const commit = worker.commitOf(
      { arguments: ['sh', '-c', 'echo early; sleep 0.3; echo late'] },
      { operationName },
    );
    const stream = () => worker.logStreams.written.get('logs/live/stdout');
    await expect.poll(stream, { interval: 20 }).toBe('early\n');
    expect(worker.scheduler.commits.some((one) => one.operationName === operationName)).toBe(false);
    await commit;
    expect(stream()).toBe('early\nlate\n');
    expect(worker.logStreams.ended.has('logs/live/stdout')).toBe(true);
  });

  test('a cancelled action ends at once and keeps its log', async () => {
    const operationName = 'operations/cancelled';
    const commit = worker.commitOf(
      { arguments: ['sh', '-c', 'echo begun; exec sleep 1000'] },
      { operationName },
    );
    await expect
      .poll(() => worker.logStreams.written.get('logs/cancelled/stdout'), { interval: 20 })
      .toBe('begun\n');
    expect(await worker.scheduler.cancel(operationName, 9)).toEqual({ found: false });
    expect(await worker.scheduler.cancel(operationName)).toEqual({ found: true });
    const { status, result } = responseOf(await commit);
    expect(status).toMatchObject({
      code: Code.CANCELLED,
      message: 'the operation was cancelled while the command ran',
    });
    expect(Buffer.from(result!.stdoutRaw).toString()).toBe('begun\n');
    expect(result!.exitCode).toBe(143);
  });
});

function slotUids({ logger }: RunningWorker): number[] {
  return logger.lines.flatMap(({ fields }) => ('slotUids' in fields ? (fields.slotUids as number[]) : []));
}
