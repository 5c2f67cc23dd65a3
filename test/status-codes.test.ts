import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BATCH_TOTAL_BYTES_MAX } from '../cache/grpc/cache-limits.ts';
import { Digest } from '../core/digest.ts';
import { IngotError, isIngotError } from '../core/error.ts';
import { PRECONDITION_FAILURE_TYPE, RETRY_INFO_TYPE, unpackAny } from '../core/error-details.ts';
import { ByteStreamDefinition } from '../core/rpc/byte-stream-definition.ts';
import type { CallOptions } from '../core/rpc/rpc-service.ts';
import { bytesOf } from '../core/streams.ts';
import {
  ActionCacheDefinition,
  type BatchUpdateBlobsRequest_Request,
  Compressor_Value,
  ContentAddressableStorageDefinition,
  DigestFunction_Value,
  ExecuteRequest,
  ExecuteResponse,
  GetTreeRequest,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code, codeToJSON } from '../proto/gen/google/rpc/code.ts';
import { PreconditionFailure, RetryInfo } from '../proto/gen/google/rpc/error_details.ts';
import { readAll, sampleBlob } from './cache/bytes.ts';
import { openCacheServer } from './cache/cache-server.ts';
import { message, messages } from './cache/open-write.ts';
import { executeResponse } from './scheduler/execute-response.ts';
import { lastOf, responseOf, SchedulerUnderTest } from './scheduler/scheduler-under-test.ts';
import { uploadAction } from './scheduler/upload-action.ts';
import { damageStoredBlob } from './setup/stored-blobs.ts';

// The codes that REAPI's clients go by, each provoked over a real server: what is retried, what is uploaded again and
// what ends a build depends on them.

let cache: Awaited<ReturnType<typeof openCacheServer>>;
let seed = 4_000_000;

beforeAll(async () => {
  cache = await openCacheServer({ blobBytesMax: 10_000_000, recentBlobBytes: 0 });
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
});

const instanceName = '';
const SHA256 = DigestFunction_Value.SHA256;

function fresh(sizeBytes = 1000) {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => codeToJSON(Code.OK),
    (error: unknown) => {
      if (isIngotError(error)) return codeToJSON(error.code);
      throw error;
    },
  );
}

const byteStream = () => cache.channel.client(ByteStreamDefinition);
const cas = () => cache.channel.client(ContentAddressableStorageDefinition);

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream) {
    // Only how it ends counts.
  }
}

function read(resourceName: string, readOffset = 0, readLimit = 0): Promise<void> {
  return drain(byteStream().read({ resourceName, readOffset, readLimit }));
}

function write(digest: Digest, bytes: Uint8Array): Promise<unknown> {
  return byteStream().write(messages(message(`uploads/${randomUUID()}/blobs/${digest}`, 0, bytes, true)));
}

function findMissing(
  hash: string,
  sizeBytes: number,
  digestFunction: DigestFunction_Value,
): Promise<unknown> {
  return cas().findMissingBlobs({ instanceName, blobDigests: [{ hash, sizeBytes }], digestFunction });
}

async function update(...requests: BatchUpdateBlobsRequest_Request[]): Promise<void> {
  const { responses } = await cas().batchUpdateBlobs({ instanceName, requests, digestFunction: SHA256 });
  throwStatus(responses[0]?.status);
}

async function batchRead(...digests: Digest[]): Promise<void> {
  const { responses } = await cas().batchReadBlobs({
    instanceName,
    digests: digests.map((digest) => digest.toMessage()),
    acceptableCompressors: [],
    digestFunction: SHA256,
  });
  throwStatus(responses[0]?.status);
}

/** A status within an answer counts as the call's. */
function throwStatus(status: ExecuteResponse['status']): void {
  if (status !== undefined && status.code !== Code.OK) {
    throw new IngotError(status.code as Code, status.message, { details: status.details });
  }
}

function item(digest: Digest, bytes: Buffer, compressor: Compressor_Value = Compressor_Value.IDENTITY) {
  return { digest: digest.toMessage(), data: bytes, compressor };
}

async function damagedBlob(sizeBytes: number): Promise<Digest> {
  const { bytes, digest } = fresh(sizeBytes);
  await cache.blobStore.write(digest, bytesOf(bytes));
  await damageStoredBlob(cache.folder, digest);
  return digest;
}

type Case = [what: string, code: keyof typeof Code, provoke: () => Promise<unknown>];

describe('a cache', () => {
  const cases: Case[] = [
    ['a malformed digest', 'INVALID_ARGUMENT', () => findMissing('ABC', 3, SHA256)],
    ['a malformed name', 'INVALID_ARGUMENT', () => read('blobs/nothing')],
    ['a malformed instance name', 'INVALID_ARGUMENT', () => read(`../blobs/${fresh().digest}`)],
    ['other bytes, in a stream', 'INVALID_ARGUMENT', () => write(fresh().digest, fresh().bytes)],
    ['other bytes, in a batch', 'INVALID_ARGUMENT', () => update(item(fresh().digest, fresh().bytes))],
    [
      'a blob over the limit',
      'INVALID_ARGUMENT',
      () => write(Digest.of('a'.repeat(64), 10_000_001), Buffer.alloc(9)),
    ],
    [
      'a batch over the limit, to write',
      'INVALID_ARGUMENT',
      () => update(item(fresh().digest, Buffer.alloc(BATCH_TOTAL_BYTES_MAX + 1))),
    ],
    [
      'a batch over the limit, to read',
      'INVALID_ARGUMENT',
      () => batchRead(Digest.of('a'.repeat(64), BATCH_TOTAL_BYTES_MAX + 1)),
    ],
    [
      'a result it does not have',
      'NOT_FOUND',
      () =>
        cache.channel.client(ActionCacheDefinition).getActionResult({
          instanceName,
          actionDigest: fresh().digest.toMessage(),
          inlineStdout: false,
          inlineStderr: false,
          inlineOutputFiles: [],
          digestFunction: SHA256,
        }),
    ],
    ['a blob it does not have', 'NOT_FOUND', () => read(`blobs/${fresh().digest}`)],
    ['a blob it does not have, in a batch', 'NOT_FOUND', () => batchRead(fresh().digest)],
    [
      'a tree without its root',
      'NOT_FOUND',
      () => drain(cas().getTree(GetTreeRequest.create({ rootDigest: fresh().digest.toMessage() }))),
    ],
    [
      'a message over the limit of the transport',
      'RESOURCE_EXHAUSTED',
      () => update(item(fresh().digest, Buffer.alloc(4 * 1024 * 1024))),
    ],
    [
      'an offset behind the end',
      'OUT_OF_RANGE',
      async () => {
        const { bytes, digest } = fresh();
        await cache.blobStore.write(digest, bytesOf(bytes));
        await read(`blobs/${digest}`, 1001);
      },
    ],
    [
      'a compressor it does not announce, to read',
      'UNIMPLEMENTED',
      () => read(`compressed-blobs/brotli/${fresh().digest}`),
    ],
    [
      'a compressor it does not announce, in a batch',
      'UNIMPLEMENTED',
      () => update(item(fresh().digest, fresh().bytes, Compressor_Value.DEFLATE)),
    ],
    [
      'a digest function it does not announce',
      'UNIMPLEMENTED',
      () => findMissing('a'.repeat(64), 3, DigestFunction_Value.SHA256TREE),
    ],
    ['a small damaged blob', 'NOT_FOUND', async () => read(`blobs/${await damagedBlob(1000)}`)],
    // Found out when most of it is sent. From then on it is NOT_FOUND.
    ['a large damaged blob', 'DATA_LOSS', async () => read(`blobs/${await damagedBlob(1_000_000)}`)],
    ['the empty blob', 'OK', () => read(`blobs/${Digest.ofBytes(Buffer.alloc(0))}`)],
  ];

  it.each(cases)('answers %s with %s', async (_, code, provoke) => {
    expect(await codeOf(provoke())).toBe(code);
  });

  it('gives no byte of a damaged blob as the end of a blob', async () => {
    const digest = await damagedBlob(300_000);
    expect(await codeOf(readAll(cache.blobStore, digest))).toBe('DATA_LOSS');
    expect(await readAll(cache.blobStore, digest)).toBeUndefined();
  });
});

/** The error of an Execute, whether the call ended with it or its response. */
async function errorOf(
  under: SchedulerUnderTest,
  request = under.request(),
  options?: CallOptions,
): Promise<IngotError> {
  try {
    throwStatus(responseOf(await lastOf(under.execution.execute(request, options))).status);
  } catch (error) {
    if (isIngotError(error)) return error;
    throw error;
  }
  throw new Error('the action was executed');
}

function violations({ details }: IngotError): string[] {
  return details
    .flatMap((any) => unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, any)?.violations ?? [])
    .map(({ type, subject }) => `${type} ${subject}`);
}

function hasRetryInfo({ details }: IngotError): boolean {
  return details.some((any) => unpackAny(RetryInfo, RETRY_INFO_TYPE, any) !== undefined);
}

describe('a scheduler', () => {
  it.each(['action', 'command', 'input'])('names an absent %s in FAILED_PRECONDITION', async (which) => {
    await using under = await SchedulerUnderTest.start();
    const { actionDigest, commandDigest } = uploadAction(under.blobStore);
    const blobs = {
      action: actionDigest,
      command: commandDigest,
      input: Digest.ofBytes(Buffer.from('int main() {}')),
    };
    const absent = blobs[which as keyof typeof blobs];
    under.blobStore.remove(absent);
    const error = await errorOf(under, ExecuteRequest.create({ actionDigest: actionDigest.toMessage() }));
    expect(codeToJSON(error.code)).toBe('FAILED_PRECONDITION');
    expect(violations(error)).toEqual([`MISSING blobs/${absent}`]);
  });

  it('answers bytes that are no Action with INVALID_ARGUMENT', async () => {
    await using under = await SchedulerUnderTest.start();
    const actionDigest = under.blobStore.put(Buffer.from([0xff, 0xff])).toMessage();
    const error = await errorOf(under, { ...under.request(), actionDigest });
    expect(codeToJSON(error.code)).toBe('INVALID_ARGUMENT');
  });

  it('answers an operation nobody knows with NOT_FOUND, however it is asked for', async () => {
    await using under = await SchedulerUnderTest.start();
    const name = `operations/${randomUUID()}`;
    expect(await codeOf(drain(under.execution.waitExecution({ name })))).toBe('NOT_FOUND');
    expect(await codeOf(under.operations.getOperation({ name }))).toBe('NOT_FOUND');
    expect(await codeOf(under.operations.cancelOperation({ name }))).toBe('NOT_FOUND');
  });

  it('says UNAVAILABLE for want of a worker while it warms up, FAILED_PRECONDITION when it has waited', async () => {
    await using under = await SchedulerUnderTest.start({ workerWait: '100ms' });
    expect(codeToJSON((await errorOf(under)).code)).toBe('FAILED_PRECONDITION');
    await under.worker('w', async () => executeResponse());
    await expect.poll(async () => (await under.farm.getStatus({})).workers).toHaveLength(1);
    const wanted = { action: { platform: { properties: [{ name: 'OSFamily', value: 'plan9' }] } } };
    const error = await errorOf(under, under.request(wanted));
    expect(codeToJSON(error.code)).toBe('UNAVAILABLE');
    expect(hasRetryInfo(error)).toBe(true);
  });

  it('says RESOURCE_EXHAUSTED when its queue is full, and when to come back', async () => {
    await using under = await SchedulerUnderTest.start({ operationsQueuedMax: 1 });
    const first = under.execution.execute(under.request())[Symbol.asyncIterator]();
    await first.next();
    const error = await errorOf(under, under.request({ files: { other: '' } }));
    expect(codeToJSON(error.code)).toBe('RESOURCE_EXHAUSTED');
    expect(hasRetryInfo(error)).toBe(true);
    await first.return?.();
  });

  it('says UNAVAILABLE when it drains, and when to come back', async () => {
    await using under = await SchedulerUnderTest.start();
    under.role.drain();
    const error = await errorOf(under);
    expect(codeToJSON(error.code)).toBe('UNAVAILABLE');
    expect(hasRetryInfo(error)).toBe(true);
  });

  it('passes on DEADLINE_EXCEEDED of an action, with the output there is, and caches nothing', async () => {
    await using under = await SchedulerUnderTest.start();
    const status = { code: Code.DEADLINE_EXCEEDED, message: 'too slow', details: [] };
    await under.worker('w', async () => ({ ...executeResponse('', 137), status }));
    const response = responseOf(await under.execute());
    expect(response).toMatchObject({ status: { code: Code.DEADLINE_EXCEEDED }, result: { exitCode: 137 } });
    expect(under.actionCache.size).toBe(0);
  });

  it("ends a call at the call's own deadline with DEADLINE_EXCEEDED, and the run goes on", async () => {
    await using under = await SchedulerUnderTest.start();
    const error = await errorOf(under, under.request(), { timeoutMs: 200 });
    expect(codeToJSON(error.code)).toBe('DEADLINE_EXCEEDED');
    expect((await under.operations.listOperations(NO_FILTER)).operations).toHaveLength(1);
  });

  it('says CANCELLED in the response of an operation that was cancelled', async () => {
    await using under = await SchedulerUnderTest.start();
    const operations = under.execution.execute(under.request());
    for await (const { name, done, result } of operations) {
      if (!done) await under.operations.cancelOperation({ name });
      else if (result?.$case === 'response') {
        expect(ExecuteResponse.decode(result.value.value).status?.code).toBe(Code.CANCELLED);
      }
    }
  });

  it('says INTERNAL, and no more, for what is no error of its own', async () => {
    await using under = await SchedulerUnderTest.start();
    under.actionCache.failure = new TypeError('a secret');
    const error = await errorOf(under);
    expect([codeToJSON(error.code), error.message]).toEqual(['INTERNAL', 'internal error']);
  });
});

const NO_FILTER = { name: '', filter: '', pageSize: 0, pageToken: '', returnPartialSuccess: false };
