import { describe, expect, test } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { failedPrecondition, permissionDenied, unavailable } from '../../../core/error.ts';
import {
  ActionResult,
  DigestFunction_Value,
  ExecuteResponse,
  Tree,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { Commit } from '../../../proto/gen/ingot/v1/bus.ts';
import { OperationRecord } from '../../../proto/gen/ingot/v1/journal.ts';
import { CommitFiler } from '../../../scheduler/engine/commit-filer.ts';
import { MemoryActionCache } from '../../setup/memory-action-cache.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';

const actionDigest = Digest.ofBytes(Buffer.from('an action'));

function bench() {
  const blobStore = new MemoryBlobStore();
  const actionCache = new MemoryActionCache();
  const filer = new CommitFiler({ blobStoreOf: () => blobStore, actionCache });
  const output = blobStore.put(Buffer.from('an output'));
  const result = ActionResult.create({
    outputFiles: [{ path: 'out', digest: output.toMessage() }],
    stdoutDigest: blobStore.put(Buffer.from('said')).toMessage(),
  });
  const cachedResult = () => actionCache.get({ instanceName: 'main', actionDigest });
  return { blobStore, actionCache, filer, output, result, cachedResult };
}

function record(changes: Partial<OperationRecord> = {}): OperationRecord {
  return OperationRecord.create({
    name: 'operations/a',
    instanceName: 'main',
    digestFunction: DigestFunction_Value.SHA256,
    actionDigest: actionDigest.toMessage(),
    ...changes,
  });
}

function commitOf(response: Partial<ExecuteResponse>, uncacheableReason = ''): Commit {
  return Commit.create({
    operationName: 'operations/a',
    epoch: 1,
    outcome: { $case: 'response', value: ExecuteResponse.create(response) },
    uncacheableReason,
  });
}

describe('a result that may be cached', () => {
  test('is in the action cache before it is answered', async () => {
    const { filer, result, cachedResult } = bench();
    const filed = await filer.file(
      record(),
      commitOf({ result, message: 'from the worker', cachedResult: true }),
    );
    expect(filed).toMatchObject({
      kind: 'filed',
      cached: true,
      response: { result, message: 'from the worker', cachedResult: false },
    });
    expect(await cachedResult()).toEqual(result);
  });

  test('may come by way of the CAS', async () => {
    const { blobStore, filer, result, cachedResult } = bench();
    const bytes = ExecuteResponse.encode(ExecuteResponse.create({ result, message: 'large' })).finish();
    const digest = blobStore.put(bytes).toMessage();
    const commit = { ...commitOf({}), outcome: { $case: 'responseDigest', value: digest } as const };
    expect(await filer.file(record(), commit)).toMatchObject({
      kind: 'filed',
      cached: true,
      response: { message: 'large' },
    });
    expect(await cachedResult()).toEqual(result);
  });
});

describe('a result that may not be cached is answered all the same', () => {
  test.each([
    ['of an action that says do_not_cache', { doNotCache: true }, {}, ''],
    ['with another exit code', {}, { exitCode: 1 }, ''],
    ['that its worker speaks against', {}, {}, 'a child was killed for want of memory'],
  ])('%s', async (_, recordChanges, resultChanges, uncacheableReason) => {
    const { filer, result, actionCache } = bench();
    const commit = commitOf({ result: { ...result, ...resultChanges } }, uncacheableReason);
    const filed = await filer.file(record(recordChanges), commit);
    expect(filed).toMatchObject({ kind: 'filed', cached: false });
    expect(filed.kind === 'filed' && filed.response.message).toBe(
      uncacheableReason === '' ? '' : `not cached: ${uncacheableReason}`,
    );
    expect(actionCache.size).toBe(0);
  });

  test('of a run that did not end by itself, whatever outputs it has', async () => {
    const { filer, result, actionCache, blobStore, output } = bench();
    blobStore.remove(output);
    const status = { code: Code.DEADLINE_EXCEEDED, message: 'too slow', details: [] };
    const filed = await filer.file(record(), commitOf({ result, status }));
    expect(filed).toMatchObject({ kind: 'filed', cached: false, response: { result, status } });
    expect(actionCache.size).toBe(0);
  });
});

test('a result that the cache takes from nobody is answered and says so, since it would never be taken', async () => {
  const { filer, result, actionCache } = bench();
  actionCache.failure = permissionDenied('UpdateActionResult is closed');
  expect(await filer.file(record(), commitOf({ result, message: 'a word' }))).toMatchObject({
    kind: 'filed',
    cached: false,
    response: { result, message: 'a word; not cached: UpdateActionResult is closed' },
  });
});

describe('a result is refused for good', () => {
  test('when an output is missing', async () => {
    const { filer, result, blobStore, output, actionCache } = bench();
    blobStore.remove(output);
    expect(await filer.file(record(), commitOf({ result }))).toEqual({
      kind: 'failed',
      reason: `its output ${output} is not in the CAS`,
      retry: false,
    });
    expect(actionCache.size).toBe(0);
  });

  test('when a file of an output directory is missing', async () => {
    const { filer, result, blobStore, output, actionCache } = bench();
    const root = { files: [{ name: 'x', digest: output.toMessage(), isExecutable: false }] };
    const treeDigest = blobStore.put(Tree.encode(Tree.fromPartial({ root })).finish()).toMessage();
    blobStore.remove(output);
    const withTree = { ...result, outputFiles: [], outputDirectories: [{ path: 'd', treeDigest }] };
    const filed = await filer.file(record(), commitOf({ result: ActionResult.fromPartial(withTree) }));
    expect(filed).toMatchObject({ kind: 'failed', retry: false });
    expect(actionCache.size).toBe(0);
  });

  test.each([
    ['when there is none', commitOf({}), 'the response has neither a result nor a status'],
    ['when the commit carries nothing', Commit.create(), 'the commit carries no response'],
  ])('%s', async (_, commit, reason) => {
    expect(await bench().filer.file(record(), commit)).toEqual({ kind: 'failed', reason, retry: false });
  });

  test('when the response is not in the CAS, or is none', async () => {
    const { filer, blobStore } = bench();
    const absent = Digest.ofBytes(Buffer.from('absent'));
    const noise = blobStore.put(Buffer.from([0xff, 0xff, 0xff]));
    const byDigest = (digest: Digest): Commit => ({
      ...commitOf({}),
      outcome: { $case: 'responseDigest', value: digest.toMessage() },
    });
    expect(await filer.file(record(), byDigest(absent))).toEqual({
      kind: 'failed',
      reason: `its response ${absent} is not in the CAS`,
      retry: false,
    });
    expect(await filer.file(record(), byDigest(noise))).toEqual({
      kind: 'failed',
      reason: `response ${noise} is not a well-formed message`,
      retry: false,
    });
  });

  test('when the action cache finds a blob of it missing', async () => {
    const { filer, result, actionCache } = bench();
    actionCache.failure = failedPrecondition('it names 1 absent blobs');
    expect(await filer.file(record(), commitOf({ result }))).toMatchObject({ kind: 'failed', retry: false });
  });
});

test.each(['blobStore', 'actionCache'] as const)('a %s that is away is worth another try', async (which) => {
  const parts = bench();
  parts[which].failure = unavailable('the cache is away');
  expect(await parts.filer.file(record(), commitOf({ result: parts.result }))).toEqual({
    kind: 'failed',
    reason: 'the cache is away',
    retry: true,
  });
});

describe('a response too large for clients', () => {
  const large = Buffer.alloc(5 * 1024 * 1024);

  test('loses what can be read from the CAS', async () => {
    const { filer, result } = bench();
    const filed = await filer.file(record(), commitOf({ result: { ...result, stdoutRaw: large } }));
    expect(filed.kind === 'filed' && filed.response.result?.stdoutRaw.byteLength).toBe(0);
    expect(filed.kind === 'filed' && filed.responseBytes).toBeLessThan(1000);
  });

  test('becomes an error when that is not enough', async () => {
    const { filer, result, actionCache } = bench();
    const filed = await filer.file(record(), commitOf({ result: { ...result, stderrRaw: large } }));
    expect(filed).toMatchObject({
      kind: 'filed',
      cached: false,
      response: {
        status: {
          code: Code.RESOURCE_EXHAUSTED,
          message: 'the action has so many outputs that its result has more than 4128768 bytes',
        },
      },
    });
    expect(actionCache.size).toBe(0);
  });
});
