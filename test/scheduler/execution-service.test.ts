import { describe, expect, test } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { PRECONDITION_FAILURE_TYPE, unpackAny } from '../../core/error-details.ts';
import {
  ActionResult,
  ExecuteResponse,
  ExecutionStage_Value as Stage,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../proto/gen/google/rpc/error_details.ts';
import { CommitReply_Outcome } from '../../proto/gen/ingot/v1/bus.ts';
import { rejection } from '../setup/rejection.ts';
import { executeResponse } from './execute-response.ts';
import { lastOf, metadataOf, responseOf, SchedulerUnderTest } from './scheduler-under-test.ts';

describe('Execute', () => {
  test('runs an action on a worker and answers what it made; the next time from the cache', async () => {
    await using under = await SchedulerUnderTest.start();
    const worker = await under.worker('w', async () => executeResponse('made'));
    const first = responseOf(await under.execute());
    expect(first).toMatchObject({ message: 'made', cachedResult: false, result: { exitCode: 0 } });
    const second = await under.execute();
    expect(responseOf(second)).toMatchObject({ cachedResult: true, result: { exitCode: 0 } });
    expect(metadataOf(second).stage).toBe(Stage.COMPLETED);
    expect(worker.offers).toHaveLength(1);
    expect(worker.replies.map(({ outcome }) => outcome)).toEqual([CommitReply_Outcome.ACCEPTED]);
  });

  test('tells each stage, the log streams and the progress', async () => {
    await using under = await SchedulerUnderTest.start();
    const finish = Promise.withResolvers<ExecuteResponse>();
    const request = under.request({}, { instanceName: 'main' });
    const seen: Operation[] = [];
    const done = (async () => {
      for await (const operation of under.execution.execute(request)) seen.push(operation);
    })();
    await expect.poll(() => seen.length).toBe(1);
    const worker = await under.worker('w', () => finish.promise);
    await expect.poll(() => seen.length).toBe(2);
    worker.progress(worker.offers[0]!, { executionStartTimestamp: { seconds: 9, nanos: 0 } });
    await expect.poll(() => seen.length).toBe(3);
    finish.resolve(executeResponse());
    await done;
    const id = /^main\/operations\/([0-9a-f-]{36})$/.exec(seen[0]!.name)?.[1];
    expect(seen.map((operation) => [operation.done, metadataOf(operation).stage])).toEqual([
      [false, Stage.QUEUED],
      [false, Stage.EXECUTING],
      [false, Stage.EXECUTING],
      [true, Stage.COMPLETED],
    ]);
    expect(metadataOf(seen[2]!)).toMatchObject({
      actionDigest: request.actionDigest,
      stdoutStreamName: `main/logs/${id}/stdout`,
      stderrStreamName: `main/logs/${id}/stderr`,
      partialExecutionMetadata: { worker: 'w', executionStartTimestamp: { seconds: 9, nanos: 0 } },
    });
    expect(metadataOf(seen[0]!).partialExecutionMetadata?.queuedTimestamp).toBeDefined();
  });

  test('runs once what many ask for at once', async () => {
    await using under = await SchedulerUnderTest.start();
    const finish = Promise.withResolvers<ExecuteResponse>();
    const worker = await under.worker('w', () => finish.promise);
    const all = Array.from({ length: 100 }, () => under.execute());
    await expect.poll(() => worker.offers.length).toBe(1);
    finish.resolve(executeResponse('once'));
    const operations = await Promise.all(all);
    expect(new Set(operations.map(({ name }) => name)).size).toBe(1);
    expect(worker.offers).toHaveLength(1);
    const { joined, completed } = await under.farm.getStatus({});
    expect([joined, completed]).toEqual([99, 1]);
  });

  test('runs every time, and caches nothing, what says do_not_cache', async () => {
    await using under = await SchedulerUnderTest.start();
    const worker = await under.worker('w', async () => executeResponse());
    const parts = { action: { doNotCache: true } };
    await Promise.all([under.execute(parts), under.execute(parts), under.execute(parts)]);
    expect(worker.offers).toHaveLength(3);
    expect(under.actionCache.size).toBe(0);
  });

  test('runs again what skips the cache, and puts the new result in it', async () => {
    await using under = await SchedulerUnderTest.start();
    const worker = await under.worker('w', async () => executeResponse('new'));
    const request = under.request();
    const actionDigest = Digest.fromMessage(request.actionDigest);
    await under.actionCache.put({ instanceName: '', actionDigest }, ActionResult.create({ exitCode: 7 }));
    expect(responseOf(await under.execute()).result?.exitCode).toBe(7);
    expect(responseOf(await under.execute({}, { skipCacheLookup: true })).message).toBe('new');
    expect(worker.offers).toHaveLength(1);
    expect(responseOf(await under.execute()).result?.exitCode).toBe(0);
  });

  test('inlines outputs for those who ask, from the run and from the cache', async () => {
    await using under = await SchedulerUnderTest.start();
    const stdoutDigest = under.blobStore.put(Buffer.from('hello')).toMessage();
    const result = ActionResult.create({ stdoutDigest, stderrRaw: Buffer.from('kept: it is nowhere else') });
    await under.worker('w', async () => ExecuteResponse.create({ result }));
    for (const cachedResult of [false, true]) {
      const response = responseOf(await under.execute({}, { inlineStdout: true }));
      expect(response.cachedResult).toBe(cachedResult);
      expect(response.result?.stdoutRaw.toString()).toBe('hello');
      expect(response.result?.stderrRaw.toString()).toBe('kept: it is nowhere else');
    }
    expect(responseOf(await under.execute()).result?.stdoutRaw).toHaveLength(0);
  });

  test('refuses what cannot be run, and says which worker is nearest', async () => {
    await using under = await SchedulerUnderTest.start();
    await under.worker('w', async () => executeResponse());
    await expect.poll(async () => (await under.farm.getStatus({})).workers.length).toBe(1);
    const platform = { properties: [{ name: 'OSFamily', value: 'plan9' }] };
    const error = await rejection(under.execute({ action: { platform } }));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.message).toContain('on the nearest, w, "OSFamily" is "linux", wanted "plan9"');
    const missing = await rejection(
      lastOf(
        under.execution.execute({
          ...under.request(),
          actionDigest: { hash: 'ab'.repeat(32), sizeBytes: 7 },
        }),
      ),
    );
    expect(missing.code).toBe(Code.FAILED_PRECONDITION);
    expect(missing.details).toHaveLength(1);
  });

  test('names every missing input, in the answer where they are too many for an error', async () => {
    await using under = await SchedulerUnderTest.start();
    const names = Array.from({ length: 300 }, (_, index) => `content ${index}`);
    const request = under.request({ files: Object.fromEntries(names.map((name) => [name, name])) });
    for (const name of names) under.blobStore.remove(Digest.ofBytes(Buffer.from(name)));
    const { status, result } = responseOf(await lastOf(under.execution.execute(request)));
    expect(result).toBeUndefined();
    expect(status?.code).toBe(Code.FAILED_PRECONDITION);
    expect(status?.message).toBe('inputs must be uploaded first: 300 blobs are missing');
    const failure = unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, status!.details[0]!);
    expect(failure?.violations).toHaveLength(300);
  });

  test('tries elsewhere when the worker dies, with a newer epoch', async () => {
    await using under = await SchedulerUnderTest.start();
    const never = new Promise<ExecuteResponse>(() => undefined);
    const first = await under.worker('first', () => never);
    const done = under.execute();
    await expect.poll(() => first.offers.length).toBe(1);
    const second = await under.worker('second', async () => executeResponse('second try'));
    await first.kill();
    expect(responseOf(await done).message).toBe('second try');
    expect(second.offers).toMatchObject([{ epoch: 2, attempt: 2 }]);
  });

  test('refuses the late result of a worker that was given up', async () => {
    await using under = await SchedulerUnderTest.start();
    const slow = Promise.withResolvers<ExecuteResponse>();
    const first = await under.worker('first', () => slow.promise);
    const done = under.execute();
    await expect.poll(() => first.offers.length).toBe(1);
    const quick = Promise.withResolvers<ExecuteResponse>();
    const second = await under.worker('second', () => quick.promise);
    first.awake = false;
    await expect.poll(() => second.offers.length, { timeout: 5_000 }).toBe(1);
    slow.resolve(executeResponse('too late'));
    await expect.poll(() => first.replies).toMatchObject([{ outcome: CommitReply_Outcome.STALE }]);
    expect(under.actionCache.size).toBe(0);
    quick.resolve(executeResponse('in time'));
    expect(responseOf(await done).message).toBe('in time');
  });
});

describe('a restart of the scheduler', () => {
  test('loses nothing: what ran goes on, what was queued runs, and both are found by name', async () => {
    await using under = await SchedulerUnderTest.start();
    const finish = Promise.withResolvers<ExecuteResponse>();
    const worker = await under.worker('w', () => finish.promise, { slots: 1 });
    const names: string[] = [];
    const collect = async (index: number) => {
      const request = under.request({ files: { x: `${index}` } });
      for await (const { name } of under.execution.execute(request))
        if (!names.includes(name)) names.push(name);
    };
    const streams = [0, 1, 2].map((index) => rejection(collect(index)));
    await expect.poll(() => [names.length, worker.offers.length]).toEqual([3, 1]);
    await under.close();
    for (const stream of streams) expect((await stream).code).toBe(Code.UNAVAILABLE);
    await under.open();
    const waits = names.map((name) => lastOf(under.execution.waitExecution({ name })));
    finish.resolve(executeResponse('survived'));
    for (const wait of waits) expect(responseOf(await wait).message).toBe('survived');
    expect(worker.offers.map(({ epoch }) => epoch)).toEqual([1, 1, 1]);
    expect(responseOf(await lastOf(under.execution.waitExecution({ name: names[0]! }))).message).toBe(
      'survived',
    );
  });

  test('while a worker commits does not lose the result', async () => {
    await using under = await SchedulerUnderTest.start();
    const finish = Promise.withResolvers<ExecuteResponse>();
    const worker = await under.worker('w', () => finish.promise);
    const done = rejection(under.execute());
    await expect.poll(() => worker.offers.length).toBe(1);
    await under.close();
    await done;
    finish.resolve(executeResponse('while away'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await under.open();
    await expect
      .poll(() => worker.replies, { timeout: 5_000 })
      .toMatchObject([{ outcome: CommitReply_Outcome.ACCEPTED }]);
    expect(responseOf(await under.execute())).toMatchObject({ cachedResult: true });
  });
});

describe('WaitExecution', () => {
  test('of a name nobody knows is NOT_FOUND', async () => {
    await using under = await SchedulerUnderTest.start();
    const error = await rejection(lastOf(under.execution.waitExecution({ name: 'operations/x' })));
    expect([error.code, error.message]).toEqual([
      Code.NOT_FOUND,
      'operation "operations/x" is not known, or was forgotten after its end',
    ]);
  });

  test('joins what runs, after the first client has gone', async () => {
    await using under = await SchedulerUnderTest.start();
    const finish = Promise.withResolvers<ExecuteResponse>();
    await under.worker('w', () => finish.promise);
    const controller = new AbortController();
    let name = '';
    const gone = rejection(
      (async () => {
        for await (const operation of under.execution.execute(under.request(), {
          signal: controller.signal,
        })) {
          name = operation.name;
        }
      })(),
    );
    await expect.poll(() => name).not.toBe('');
    controller.abort();
    await gone;
    const waiting = lastOf(under.execution.waitExecution({ name }));
    finish.resolve(executeResponse('still here'));
    expect(responseOf(await waiting).message).toBe('still here');
  });
});

test('a scheduler that drains sends its clients away, and takes no new ones', async () => {
  await using under = await SchedulerUnderTest.start();
  const waiting = rejection(under.execute());
  await expect.poll(async () => (await under.farm.getStatus({})).queued).toBe(1);
  under.role.drain();
  for (const error of [await waiting, await rejection(under.execute({ files: { other: 'x' } }))]) {
    expect([error.code, error.message]).toEqual([
      Code.UNAVAILABLE,
      'the scheduler is shutting down; accepted operations go on when it is back',
    ]);
    expect(error.details).toHaveLength(1);
  }
});
