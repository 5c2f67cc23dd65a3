import { describe, expect, test } from 'vitest';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { Digest } from '../../../core/digest.ts';
import { type IngotError, unavailable } from '../../../core/error.ts';
import { unpackAny } from '../../../core/error-details.ts';
import {
  ActionResult,
  Directory,
  ExecuteRequest,
  RequestMetadata,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../../proto/gen/google/rpc/error_details.ts';
import { Admission } from '../../../scheduler/admission/admission.ts';
import { MemoryActionCache } from '../../setup/memory-action-cache.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { rejection } from '../../setup/rejection.ts';
import { type ActionParts, uploadAction, uploadTree } from '../upload-action.ts';

function bench() {
  const blobStore = new MemoryBlobStore();
  const actionCache = new MemoryActionCache();
  const admission = new Admission({
    blobStoreOf: () => blobStore,
    actionCache,
    clock: { now: () => ({ monotonicMs: 5000, wallMs: 0 }) },
    actionTimeoutMaxMs: 3_600_000,
    newOperationName: (instanceName) => `${instanceName}/operations/new`,
  });
  const admit = (actionDigest: Digest, request: Partial<ExecuteRequest> = {}) =>
    admission.admit(
      ExecuteRequest.create({ instanceName: 'main', actionDigest: actionDigest.toMessage(), ...request }),
      undefined,
    );
  const refuse = async (parts: ActionParts, request: Partial<ExecuteRequest> = {}) => {
    const error = await rejection(admit(uploadAction(blobStore, parts).actionDigest, request));
    return [error.code, error.message];
  };
  return { blobStore, actionCache, admission, admit, refuse };
}

/** Subjects of the MISSING violations of an error. */
function missingOf(error: IngotError): string[] {
  const failure = unpackAny(PreconditionFailure, 'google.rpc.PreconditionFailure', error.details[0]!);
  for (const { type } of failure!.violations) expect(type).toBe('MISSING');
  return failure!.violations.map(({ subject }) => subject);
}

describe('a sound action', () => {
  test('becomes a submission with everything the scheduler must know', async () => {
    const { blobStore, admit } = bench();
    const { actionDigest } = uploadAction(blobStore, {
      action: {
        timeout: { seconds: 60, nanos: 0 },
        doNotCache: true,
        platform: {
          properties: [
            { name: 'cpu', value: '2' },
            { name: 'OSFamily', value: 'linux' },
          ],
        },
      },
    });
    const executionPolicy = { priority: -7 };
    expect(await admit(actionDigest, { skipCacheLookup: true, executionPolicy })).toEqual({
      kind: 'submission',
      submission: {
        name: 'main/operations/new',
        instanceName: 'main',
        digestFunction: 1,
        actionDigest: actionDigest.toMessage(),
        doNotCache: true,
        skipCacheLookup: true,
        priority: -7,
        properties: [{ name: 'OSFamily', value: 'linux' }],
        request: { slots: 1, cpuMillis: 2000, memoryBytes: 0, gpus: [] },
        timeout: { seconds: 60, nanos: 0 },
        requestMetadata: undefined,
        lookedUpAtMs: 5000,
      },
    });
  });

  const platform = (value: string) => ({ properties: [{ name: 'pool', value }] });

  test.each([
    [
      'of the action wins',
      { action: { platform: platform('a') }, command: { platform: platform('c') } },
      'a',
    ],
    ['of the command counts where the action has none', { command: { platform: platform('c') } }, 'c'],
  ])('the platform %s', async (_, parts, expected) => {
    const { blobStore, admit } = bench();
    const admitted = await admit(uploadAction(blobStore, parts).actionDigest);
    expect(admitted.kind === 'submission' && admitted.submission.properties).toEqual([
      { name: 'pool', value: expected },
    ]);
  });
});

describe('the action cache', () => {
  const result = ActionResult.create({ exitCode: 0, stdoutRaw: Buffer.from('cached') });

  test.each([
    ['answers', {}, {}, 'cached'],
    ['is not asked when the client says so', {}, { skipCacheLookup: true }, 'submission'],
    ['does not answer an action that says do_not_cache', { doNotCache: true }, {}, 'submission'],
    ['does not answer for another instance', {}, { instanceName: 'other' }, 'submission'],
  ])('%s', async (_, action, request, kind) => {
    const { blobStore, actionCache, admit } = bench();
    const { actionDigest } = uploadAction(blobStore, { action });
    await actionCache.put({ instanceName: 'main', actionDigest }, result);
    expect(await admit(actionDigest, request)).toMatchObject({ kind });
  });

  test('answers without a look at command or inputs', async () => {
    const { blobStore, actionCache, admit } = bench();
    const { actionDigest, commandDigest } = uploadAction(blobStore);
    blobStore.remove(commandDigest);
    await actionCache.put({ instanceName: 'main', actionDigest }, result);
    expect(await admit(actionDigest)).toEqual({ kind: 'cached', actionDigest, result });
    expect(blobStore.reads).toEqual([actionDigest.hash]);
  });

  test('that is away fails the call', async () => {
    const { blobStore, actionCache, admit } = bench();
    actionCache.failure = unavailable('the cache is away');
    expect((await rejection(admit(uploadAction(blobStore).actionDigest))).code).toBe(Code.UNAVAILABLE);
  });
});

describe('what is not uploaded is named', () => {
  test('the action', async () => {
    const digest = Digest.ofBytes(Buffer.from('never uploaded'));
    const error = await rejection(bench().admit(digest));
    expect([error.code, error.message]).toEqual([
      Code.FAILED_PRECONDITION,
      'the action must be uploaded first: 1 blobs are missing',
    ]);
    expect(missingOf(error)).toEqual([`blobs/${digest}`]);
  });

  test('the command, and at once what is missing of the inputs', async () => {
    const { blobStore, admit } = bench();
    const { actionDigest, commandDigest } = uploadAction(blobStore, { files: { a: 'a', b: 'b' } });
    const a = Digest.ofBytes(Buffer.from('a'));
    blobStore.remove(commandDigest);
    blobStore.remove(a);
    const error = await rejection(admit(actionDigest));
    expect(error.message).toBe('the command must be uploaded first: 2 blobs are missing');
    expect(missingOf(error)).toEqual([`blobs/${commandDigest}`, `blobs/${a}`]);
  });

  test('directories and files of the input root, each once', async () => {
    const { blobStore, admit } = bench();
    const files = { x: 'same', sub: { y: 'same', z: 'other' }, gone: { w: 'w' } };
    const { actionDigest } = uploadAction(blobStore, { files });
    const same = Digest.ofBytes(Buffer.from('same'));
    const gone = uploadTree(blobStore, files.gone);
    blobStore.remove(same);
    blobStore.remove(gone);
    const error = await rejection(admit(actionDigest));
    expect([error.code, error.message]).toEqual([
      Code.FAILED_PRECONDITION,
      'inputs must be uploaded first: 2 blobs are missing',
    ]);
    expect(missingOf(error).sort()).toEqual([`blobs/${same}`, `blobs/${gone}`].sort());
  });

  test('the input root itself', async () => {
    const { blobStore, admit } = bench();
    const { actionDigest, inputRootDigest } = uploadAction(blobStore);
    blobStore.remove(inputRootDigest);
    expect(missingOf(await rejection(admit(actionDigest)))).toEqual([`blobs/${inputRootDigest}`]);
  });

  test('all of them, however many', async () => {
    const { blobStore, admit } = bench();
    const files = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`f${index}`, `content ${index}`]),
    );
    const { actionDigest } = uploadAction(blobStore, { files });
    for (const content of Object.values(files)) blobStore.remove(Digest.ofBytes(Buffer.from(content)));
    const error = await rejection(admit(actionDigest));
    expect(error.message).toBe('inputs must be uploaded first: 500 blobs are missing');
    expect(missingOf(error)).toHaveLength(500);
  });

  test('also when a directory is remembered from an earlier action', async () => {
    const { blobStore, admit } = bench();
    const { actionDigest, inputRootDigest } = uploadAction(blobStore);
    await admit(actionDigest);
    blobStore.remove(inputRootDigest);
    expect(missingOf(await rejection(admit(actionDigest)))).toEqual([`blobs/${inputRootDigest}`]);
  });
});

test('directories are read once for many actions', async () => {
  const { blobStore, admit } = bench();
  const files = { shared: { deep: { x: 'x' } } };
  await admit(uploadAction(blobStore, { files }).actionDigest);
  const before = blobStore.reads.length;
  const { actionDigest, commandDigest } = uploadAction(blobStore, {
    files,
    action: { salt: Buffer.from('other') },
  });
  await admit(actionDigest);
  expect(blobStore.reads.slice(before)).toEqual([actionDigest.hash, commandDigest.hash]);
});

describe('refuses', () => {
  test.each([
    [
      'a timeout longer than allowed',
      { action: { timeout: { seconds: 3601, nanos: 0 } } },
      'action timeout is 3601 s, expected 0 to 3600 s',
    ],
    [
      'a timeout below zero',
      { action: { timeout: { seconds: -1, nanos: 0 } } },
      'action timeout is -1 s, expected 0 to 3600 s',
    ],
    [
      'a malformed platform',
      { action: { platform: { properties: [{ name: 'cpu', value: 'x' }] } } },
      'platform property cpu is "x", expected a number of cores from 0.001 to 4096',
    ],
    ['a command that names nothing', { command: { arguments: [] } }, 'command names no program to run'],
    [
      'a working directory outside',
      { command: { workingDirectory: '../..' } },
      'working_directory "../..": its segment ".." leads elsewhere',
    ],
    ['an action without a command', { action: { commandDigest: undefined } }, 'digest is missing'],
    [
      'a digest that is none',
      { action: { inputRootDigest: { hash: 'ab', sizeBytes: 1 } } },
      'digest hash has 2 characters, expected 64 for sha256',
    ],
  ])('%s', async (_, parts, message) => {
    expect(await bench().refuse(parts as ActionParts)).toEqual([Code.INVALID_ARGUMENT, message]);
  });

  test.each([
    [
      'an instance name that is none',
      { instanceName: 'a/../b' },
      'instance name "a/../b": it has .. as a segment',
    ],
    [
      'a priority beyond the range',
      { executionPolicy: { priority: 1001 } },
      'execution_policy.priority is 1001, expected -1000 to 1000',
    ],
    [
      'a priority in the cache',
      { resultsCachePolicy: { priority: 1 } },
      'results_cache_policy.priority is 1, expected 0: no others are announced',
    ],
    ['no action digest', { actionDigest: undefined }, 'digest is missing'],
    [
      'a negative size',
      { actionDigest: { hash: 'ab'.repeat(32), sizeBytes: -1 } },
      `digest size is -1 bytes, expected 0 to ${Number.MAX_SAFE_INTEGER}`,
    ],
    [
      'an upper case hash',
      { actionDigest: { hash: 'AB'.repeat(32), sizeBytes: 1 } },
      'digest hash is not lower-case hexadecimal',
    ],
    [
      'an action of 5 MiB',
      { actionDigest: { hash: 'ab'.repeat(32), sizeBytes: 5 * 2 ** 20 } },
      `action ${'ab'.repeat(32)}/5242880 is too large, at most 4194304 bytes are accepted`,
    ],
  ])('%s', async (_, request, message) => {
    expect(await bench().refuse({}, request)).toEqual([Code.INVALID_ARGUMENT, message]);
  });

  test('bytes that are no action', async () => {
    const { blobStore, admit } = bench();
    const digest = blobStore.put(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    const error = await rejection(admit(digest));
    expect([error.code, error.message]).toEqual([
      Code.INVALID_ARGUMENT,
      `action ${digest} is not a well-formed message`,
    ]);
  });

  test.each(['', '.', '..', 'a/b', 'nul\0', '\uFEFFbom', 'x'.repeat(256)])(
    'an input named %j',
    async (name) => {
      const { blobStore, refuse } = bench();
      const file = blobStore.put(Buffer.from('x')).toMessage();
      const bytes = Directory.encode(Directory.fromPartial({ files: [{ name, digest: file }] })).finish();
      const inputRootDigest = blobStore.put(bytes).toMessage();
      const [code, message] = await refuse({ action: { inputRootDigest } });
      expect(code).toBe(Code.INVALID_ARGUMENT);
      expect(message).toMatch(/^input root [0-9a-f]{64}\/\d+: directory /);
    },
  );

  test('a tree that would be too large, before it is written out anywhere', async () => {
    const { blobStore, refuse } = bench();
    let child = uploadTree(blobStore, { x: 'x' }).toMessage();
    for (let level = 0; level < 30; level += 1) {
      const directories = Array.from({ length: 10 }, (_, index) => ({ name: `d${index}`, digest: child }));
      child = blobStore.put(Directory.encode(Directory.fromPartial({ directories })).finish()).toMessage();
    }
    const startMs = performance.now();
    const [code, message] = await refuse({ action: { inputRootDigest: child } });
    expect(code).toBe(Code.INVALID_ARGUMENT);
    expect(message).toContain('the tree has more than 500000 files, directories and symlinks');
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });
});

test('looks for action, command and inputs in the name of the build, or else of the operation', async () => {
  const { blobStore, admission } = bench();
  const { actionDigest } = uploadAction(blobStore, {});
  const asked = new Map<string, Set<string>>();
  const findMissing = blobStore.findMissing.bind(blobStore);
  (blobStore as BlobStore).findMissing = (digests, options) => {
    const invocation = String(options?.invocationId);
    const names = asked.get(invocation) ?? new Set();
    for (const digest of digests) names.add(digest.toString());
    asked.set(invocation, names);
    return findMissing(digests);
  };
  const request = ExecuteRequest.create({ instanceName: 'main', actionDigest: actionDigest.toMessage() });
  for (const toolInvocationId of ['build 7', '']) {
    await admission.admit(request, RequestMetadata.create({ toolInvocationId }));
  }
  expect([...asked.keys()]).toEqual(['build 7', 'main/operations/new']);
  for (const names of asked.values()) {
    expect(names.has(actionDigest.toString())).toBe(true);
    expect(names.size).toBeGreaterThanOrEqual(3);
  }
});
