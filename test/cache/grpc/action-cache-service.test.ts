import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import { bytesOf } from '../../../core/streams.ts';
import {
  ActionCacheDefinition,
  type ActionResult,
  CapabilitiesDefinition,
  type GetActionResultRequest,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { sampleBlob, sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { store } from '../directories.ts';
import { actionKey, outputDirectory, outputFiles, result, shown } from '../results.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let client: ServiceClient<typeof ActionCacheDefinition>;
let seed = 0;

beforeAll(async () => {
  server = await openCacheServer({ recentBlobBytes: 0 });
  client = server.channel.client(ActionCacheDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function freshAction() {
  seed += 1;
  return actionKey(seed).actionDigest.toMessage();
}

type Action = ReturnType<typeof freshAction>;

function get(actionDigest: Action, hints: Partial<GetActionResultRequest> = {}): Promise<ActionResult> {
  return client.getActionResult({
    instanceName: '',
    actionDigest,
    digestFunction: 0,
    inlineStdout: false,
    inlineStderr: false,
    inlineOutputFiles: [],
    ...hints,
  });
}

function update(actionDigest: Action, actionResult: ActionResult | undefined): Promise<ActionResult> {
  const rest = { digestFunction: 0 as const, resultsCachePolicy: undefined };
  return client.updateActionResult({ instanceName: '', actionDigest, actionResult, ...rest });
}

describe('GetActionResult', () => {
  it('answers NOT_FOUND for a result it does not have', async () => {
    const action = freshAction();
    await expect(get(action)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `no result of action ${action.hash}/100 is cached`,
    });
  });

  it.each([1000, 300_000])(
    'has no result with a damaged blob of %i bytes, found out only now',
    async (size) => {
      const { bytes, digest } = sampleBlob(size, 77_000 + size);
      await server.blobStore.write(digest, bytesOf(bytes));
      const action = freshAction();
      await update(action, result({ stdoutDigest: digest.toMessage() }));
      await damageStoredBlob(server.folder, digest, (stored) => {
        stored[size - 1]! ^= 1;
      });
      await expect(get(action, { inlineStdout: true })).rejects.toMatchObject({
        code: Code.NOT_FOUND,
        message: `no result of action ${action.hash}/100 is cached`,
      });
      await expect(get(action)).rejects.toMatchObject({ code: Code.NOT_FOUND });
    },
  );

  it('puts bytes into the result only where they are asked for', async () => {
    const bytes = sampleBytes(100, 1);
    const digest = (await store(server.blobStore, bytes)).toMessage();
    const action = freshAction();
    const filed = result({
      outputFiles: outputFiles({
        a: await store(server.blobStore, bytes),
        b: await store(server.blobStore, bytes),
      }),
      stdoutDigest: digest,
      stdoutRaw: bytes,
      stderrDigest: digest,
    });
    await update(action, filed);
    const bare = await get(action);
    expect([bare.stdoutRaw.length, bare.stderrRaw.length]).toEqual([0, 0]);
    const full = await get(action, { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['b', 'c'] });
    expect([full.stdoutRaw, full.stderrRaw].every((raw) => bytes.equals(raw))).toBe(true);
    expect(full.outputFiles.map(({ contents }) => contents.length)).toEqual([0, 100]);
  });

  it('leaves out what is too much', async () => {
    const stdoutDigest = (await store(server.blobStore, sampleBytes(2 ** 20 - 10))).toMessage();
    const file = await store(server.blobStore, sampleBytes(11));
    const action = freshAction();
    await update(action, result({ stdoutDigest, outputFiles: outputFiles({ file }) }));
    const full = await get(action, { inlineStdout: true, inlineOutputFiles: ['file'] });
    expect(full.stdoutRaw.length).toBe(2 ** 20 - 10);
    expect(full.outputFiles[0]?.contents.length).toBe(0);
  });

  it('keeps inlined output that is nowhere else', async () => {
    const action = freshAction();
    const filed = result({ stdoutRaw: Buffer.from('only here') });
    await update(action, filed);
    expect(shown(await get(action))).toEqual(shown(filed));
  });
});

describe('UpdateActionResult', () => {
  it('refuses results that are malformed, saying how', async () => {
    const digest = await store(server.blobStore, sampleBytes(10));
    const other = sampleBlob(11).digest;
    const link = (target: string) => [{ path: 'l', target, nodeProperties: undefined }];
    const cases: [ActionResult | undefined, string][] = [
      [undefined, 'UpdateActionResult: action result is missing'],
      [
        result({ exitCode: 1 }),
        'action result has exit code 1: only results of commands that succeeded are cached',
      ],
      [result({ outputFiles: outputFiles({ '/a': digest }) }), expect.stringContaining('output file "/a"')],
      [
        result({ outputFiles: outputFiles({ 'a/../b': digest }) }),
        expect.stringContaining('output file "a/../b"'),
      ],
      [
        result({ outputFiles: [...outputFiles({ a: digest }), ...outputFiles({ a: digest })] }),
        'output "a" is in the action result twice',
      ],
      [
        result({ outputFiles: outputFiles({ a: digest }).map((file) => ({ ...file, digest: undefined })) }),
        'output file "a": digest is missing',
      ],
      [
        result({
          outputFiles: outputFiles({ a: digest }).map((file) => ({
            ...file,
            digest: { hash: 'x', sizeBytes: 1 },
          })),
        }),
        'output file "a": digest hash has 1 characters, expected 64 for sha256',
      ],
      [
        result({ outputDirectories: [outputDirectory('d', {})] }),
        'output directory "d": it has neither a tree digest nor a root directory digest',
      ],
      [
        result({ stdoutDigest: digest.toMessage(), stdoutRaw: sampleBytes(11) }),
        `stdout: the bytes that came with it are ${other}, its digest is ${digest}`,
      ],
      [result({ outputSymlinks: link('') }), 'output symlink "l" has no target'],
    ];
    for (const [wrong, message] of cases) {
      await expect(update(freshAction(), wrong)).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message,
      });
    }
  });

  it('refuses a result whose blobs are not here', async () => {
    const absent = sampleBlob(12, 99).digest;
    const action = freshAction();
    await expect(update(action, result({ outputFiles: outputFiles({ absent }) }))).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `Put result of action ${action.hash}/100: it names 1 absent blobs, among them ${absent}`,
    });
    await expect(get(action)).rejects.toMatchObject({ code: Code.NOT_FOUND });
  });

  it('is closed where the cache does not allow it, and announced so', async () => {
    await using closed = await openCacheServer({ actionCacheUpdates: false });
    const actionCache = closed.channel.client(ActionCacheDefinition);
    await expect(
      actionCache.updateActionResult({
        instanceName: '',
        actionDigest: freshAction(),
        actionResult: result({ stdoutRaw: Buffer.from('x') }),
        digestFunction: 0,
        resultsCachePolicy: undefined,
      }),
    ).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
      message: 'UpdateActionResult is not open to clients of this cache',
    });
    const capabilities = await closed.channel
      .client(CapabilitiesDefinition)
      .getCapabilities({ instanceName: '' });
    expect(capabilities.cacheCapabilities?.actionCacheUpdateCapabilities).toEqual({ updateEnabled: false });
  });
});

describe('GetCapabilities', () => {
  it('announces what is there, for any valid instance', async () => {
    const capabilities = server.channel.client(CapabilitiesDefinition);
    const seen = await capabilities.getCapabilities({ instanceName: 'team/a' });
    expect(seen).toMatchObject({
      cacheCapabilities: {
        digestFunctions: [1, 9, 2, 5, 6, 3],
        actionCacheUpdateCapabilities: { updateEnabled: true },
        maxBatchTotalSizeBytes: 3_670_016,
        supportedCompressors: [1],
        supportedBatchUpdateCompressors: [1],
        maxCasBlobSizeBytes: 2 ** 30,
        splitBlobSupport: true,
        spliceBlobSupport: true,
        fastCdc2020Params: { avgChunkSizeBytes: 524_288, seed: 0 },
        repMaxCdcParams: undefined,
      },
      executionCapabilities: undefined,
      lowApiVersion: { major: 2, minor: 0 },
      highApiVersion: { major: 2, minor: 11 },
    });
    await expect(capabilities.getCapabilities({ instanceName: 'a/../b' })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });
});
