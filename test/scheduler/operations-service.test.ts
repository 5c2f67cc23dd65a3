import { describe, expect, test } from 'vitest';
import {
  type ExecuteResponse,
  ExecutionStage_Value as Stage,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ListOperationsRequest } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { rejection } from '../setup/rejection.ts';
import { executeResponse } from './execute-response.ts';
import { metadataOf, responseOf, SchedulerUnderTest } from './scheduler-under-test.ts';

/** A farm in which one action runs on `w` and further ones are queued; every stream is kept open. */
async function busy(queuedCount = 0) {
  const under = await SchedulerUnderTest.start();
  const finish = Promise.withResolvers<ExecuteResponse>();
  const worker = await under.worker('w', () => finish.promise, { slots: 1 });
  const names: string[] = [];
  const ends: Promise<unknown>[] = [];
  for (let index = 0; index <= queuedCount; index += 1) {
    const instanceName = index % 2 === 0 ? '' : 'odd';
    const stream = under.execution.execute(under.request({ files: { x: `${index}` } }, { instanceName }));
    const first = Promise.withResolvers<void>();
    ends.push(
      (async () => {
        for await (const { name } of stream) {
          if (!names.includes(name)) names.push(name);
          first.resolve();
        }
      })().catch(() => undefined),
    );
    await first.promise;
  }
  await expect.poll(() => worker.offers.length).toBe(1);
  return { under, finish, worker, names, ends };
}

describe('GetOperation', () => {
  test('says how it stands', async () => {
    const { under, finish, names, ends } = await busy();
    await using _ = under;
    const name = names[0]!;
    const running = await under.operations.getOperation({ name });
    expect([running.done, metadataOf(running).stage]).toEqual([false, Stage.EXECUTING]);
    finish.resolve(executeResponse('made'));
    await Promise.all(ends);
    expect(responseOf(await under.operations.getOperation({ name })).message).toBe('made');
  });

  test('of nothing is NOT_FOUND', async () => {
    await using under = await SchedulerUnderTest.start();
    expect((await rejection(under.operations.getOperation({ name: 'x' }))).code).toBe(Code.NOT_FOUND);
  });
});

describe('CancelOperation', () => {
  test('ends a running operation for its client, and stops its worker', async () => {
    const { under, worker, names } = await busy();
    await using _ = under;
    const name = names[0]!;
    await under.operations.cancelOperation({ name });
    const { status } = responseOf(await under.operations.getOperation({ name }));
    expect(status).toMatchObject({
      code: Code.CANCELLED,
      message: 'the operation was cancelled by CancelOperation',
    });
    await expect.poll(() => worker.cancels).toMatchObject([{ operationName: name, epoch: 1 }]);
    await under.operations.cancelOperation({ name });
  });

  test('of nothing is NOT_FOUND', async () => {
    await using under = await SchedulerUnderTest.start();
    const error = await rejection(under.operations.cancelOperation({ name: 'x' }));
    expect([error.code, error.message]).toEqual([
      Code.NOT_FOUND,
      'operation "x" is not known, or was forgotten after its end',
    ]);
  });
});

test('DeleteOperation forgets what is over, and nothing else', async () => {
  const { under, finish, names, ends } = await busy();
  await using _ = under;
  const name = names[0]!;
  await under.operations.deleteOperation({ name });
  expect((await under.operations.getOperation({ name })).done).toBe(false);
  finish.resolve(executeResponse());
  await Promise.all(ends);
  await under.operations.deleteOperation({ name });
  expect((await rejection(under.operations.getOperation({ name }))).code).toBe(Code.NOT_FOUND);
  expect((await rejection(under.operations.deleteOperation({ name }))).code).toBe(Code.NOT_FOUND);
});

test('WaitOperation answers when it is over, or when the time is', async () => {
  const { under, finish, names } = await busy();
  await using _ = under;
  const name = names[0]!;
  const timeout = { seconds: 0, nanos: 50e6 };
  expect((await under.operations.waitOperation({ name, timeout })).done).toBe(false);
  const waiting = under.operations.waitOperation({ name, timeout: undefined });
  finish.resolve(executeResponse('made'));
  expect(responseOf(await waiting).message).toBe('made');
});

describe('ListOperations', () => {
  const list = (under: SchedulerUnderTest, request: Partial<ListOperationsRequest> = {}) =>
    under.operations.listOperations(ListOperationsRequest.create(request));

  test('lists them in order of acceptance, page by page', async () => {
    const { under, names } = await busy(4);
    await using _ = under;
    const seen: string[] = [];
    let pageToken = '';
    let pages = 0;
    do {
      const page = await list(under, { pageSize: 2, pageToken });
      seen.push(...page.operations.map(({ name }) => name));
      pageToken = page.nextPageToken;
      pages += 1;
    } while (pageToken !== '');
    expect([seen, pages]).toEqual([names, 3]);
  });

  test('of one instance, one stage, one worker', async () => {
    const { under, names } = await busy(4);
    await using _ = under;
    const of = async (request: Partial<ListOperationsRequest>) =>
      (await list(under, request)).operations.map(({ name }) => names.indexOf(name));
    expect(await of({ name: 'odd' })).toEqual([1, 3]);
    expect(await of({ filter: 'stage=executing' })).toEqual([0]);
    expect(await of({ filter: 'stage=queued' })).toEqual([1, 2, 3, 4]);
    expect(await of({ filter: 'worker=w' })).toEqual([0]);
    expect(await of({ filter: 'stage=completed' })).toEqual([]);
    expect(await of({ filter: 'stage=queued worker=w' })).toEqual([]);
    expect(await of({ filter: 'invocation=x' })).toEqual([]);
  });

  test.each([
    [
      { filter: 'stage=done' },
      'filter "stage=done" is not understood, expected stage=queued|executing|completed, worker=ID or invocation=ID',
    ],
    [
      { filter: 'done' },
      'filter "done" is not understood, expected stage=queued|executing|completed, worker=ID or invocation=ID',
    ],
    [{ pageToken: 'x' }, 'page_token "x" was not given by ListOperations'],
    [{ pageSize: -1 }, 'page_size is -1, expected 0 or more'],
  ])('refuses %j', async (request, message) => {
    await using under = await SchedulerUnderTest.start();
    const error = await rejection(list(under, request));
    expect([error.code, error.message]).toEqual([Code.INVALID_ARGUMENT, message]);
  });
});
