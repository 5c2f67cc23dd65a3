import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { Digest } from '../../core/digest.ts';
import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { bytesOf, collectBytes } from '../../core/streams.ts';
import {
  ActionResult,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ExecuteRequest,
  ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { OperationsDefinition } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { type EndedCommand, ingot } from '../e2e/cli-process.ts';
import { sandboxLevel } from '../e2e/up-farm.ts';
import { Cluster } from '../setup/cluster.ts';
import { rejection } from '../setup/rejection.ts';
import { TestTokens } from '../setup/test-tokens.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { fault } from './fault.ts';

const run = promisify(execFile);
const [A, B] = ['team-a', 'team-b'];

let folder: string;
let tokens: TestTokens;
let cluster: Cluster;
const channels = new Map<string, RpcChannel>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-r32-'));
  tokens = new TestTokens(folder);
  for (const role of ['worker', 'scheduler', 'reader']) await tokens.create(role, role);
  await tokens.create('all', 'publisher');
  for (const team of [A, B]) await tokens.create(team, 'publisher', '--instances', team);
  cluster = await Cluster.start({
    cacheFlags: ['--tokens', tokens.path],
    schedulerFlags: ['--tokens', tokens.path, '--token-file', tokens.file('scheduler')],
    workerFlags: ['--token-file', tokens.file('worker'), '--sandbox', sandboxLevel],
    client: { token: tokens.of('all') },
  });
});
afterAll(async () => {
  for (const channel of channels.values()) await channel.close();
  await cluster?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function channel(name: string, part: 'cache' | 'scheduler' = 'cache'): RpcChannel {
  const key = `${name} ${part}`;
  const made =
    channels.get(key) ??
    new RpcChannel({ address: cluster[part].endpoint('grpc'), security: { token: () => tokens.of(name) } });
  channels.set(key, made);
  return made;
}

function blobs(
  instanceName: string,
  part: 'cache' | 'scheduler' = 'cache',
  name = instanceName,
): GrpcBlobStore {
  return new GrpcBlobStore({ channel: channel(name, part), instanceName });
}

async function code(promise: Promise<unknown>): Promise<string> {
  const refused = await rejection(promise);
  return Object.entries(Code).find(([, value]) => value === refused.code)?.[0] ?? String(refused.code);
}

async function httpStatus(name: string, path: string, ...flags: readonly string[]): Promise<string> {
  const url = `http://${cluster.cache.endpoint('http')}${path}`;
  const own = [
    '-s',
    '--path-as-is',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '--oauth2-bearer',
    tokens.of(name),
  ];
  return (await run('curl', [...own, ...flags, url])).stdout;
}

function runAs(team: string, ...args: readonly string[]): Promise<EndedCommand> {
  const own = ['--endpoint', cluster.scheduler.endpoint('grpc'), '--instance', team];
  return ingot([...own, '--token-file', tokens.file(team), ...args], { cwd: folder });
}

function lastLine(ended: EndedCommand): Record<string, unknown> {
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

/** Names of everything in the cache's folder. */
async function names(): Promise<string[]> {
  return (await readdir(join(cluster.folder, 'cache'), { recursive: true })).sort();
}

fault('R32', 'names that can be none: ../, 10 KiB, reserved words, control characters', async (saw) => {
  const bad = [
    '..',
    '../x',
    'a/../b',
    './a',
    '/a',
    'a//b',
    'a/',
    'x'.repeat(10_240),
    'blobs',
    'a/operations',
    'a\0b',
  ];
  const before = await names();
  const { digest, bytes } = blob('under a bad name');
  for (const part of ['cache', 'scheduler'] as const) {
    for (const instanceName of bad) {
      const all = channel('all', part);
      const store = new GrpcBlobStore({ channel: all, instanceName });
      expect(await code(store.findMissing([digest])), instanceName).toBe('INVALID_ARGUMENT');
      expect(await code(store.write(digest, bytesOf(bytes))), instanceName).toBe('INVALID_ARGUMENT');
      const key = { instanceName, actionDigest: digest };
      expect(await code(new GrpcActionCache({ channel: all }).put(key, ActionResult.create()))).toBe(
        'INVALID_ARGUMENT',
      );
      expect(await code(all.client(CapabilitiesDefinition).getCapabilities({ instanceName }))).toBe(
        'INVALID_ARGUMENT',
      );
    }
  }
  for (const instanceName of bad) {
    const request = ExecuteRequest.fromPartial({ instanceName, actionDigest: digest.toMessage() });
    const execute = channel('all', 'scheduler').client(ExecutionDefinition).execute(request);
    expect(await code(Array.fromAsync(execute))).toBe('INVALID_ARGUMENT');
  }
  for (const path of ['..', 'a/../b', 'a//b', 'x'.repeat(10_240)]) {
    const status = await httpStatus('all', `/${path}/cas/${digest.hash}`, '-T', '/etc/hostname');
    expect(['400', '404'], path).toContain(status);
  }
  expect(await names()).toEqual(before);
  saw(`${bad.length} names INVALID_ARGUMENT by six calls, nothing new in ${before.length} names on the disk`);
});

fault('R32', 'an instance that is not the caller’s, or that nobody has', async (saw) => {
  const before = await names();
  const { digest, bytes } = blob('in a foreign instance');
  for (const part of ['cache', 'scheduler'] as const) {
    for (const instanceName of [B, '', 'nobody-has-it', `${A}/below`, A.toUpperCase()]) {
      const store = blobs(instanceName, part, A);
      expect(await code(store.findMissing([digest])), instanceName).toBe('PERMISSION_DENIED');
      expect(await code(store.write(digest, bytesOf(bytes))), instanceName).toBe('PERMISSION_DENIED');
    }
  }
  for (const prefix of [`/${B}`, '', '/nobody-has-it']) {
    for (const view of ['cas', 'ac', 'webdav']) {
      const path = `${prefix}/${view}/${digest.hash}`;
      expect(await httpStatus(A, path, '-T', '/etc/hostname'), path).toBe('403');
      expect(await httpStatus(A, path), path).toBe('403');
    }
  }
  expect(await names()).toEqual(before);
  saw('PERMISSION_DENIED and 403 for all of them, and nothing new on the disk');
});

fault('R32', 'a blob and a result of A, asked for by B in its own instance', async (saw) => {
  const large = blob('large '.repeat(600_000));
  const small = blob('small, of A');
  for (const { digest, bytes } of [small, large]) await blobs(A).write(digest, bytesOf(bytes));
  const key = { instanceName: A, actionDigest: small.digest };
  const filed = ActionResult.create({ outputFiles: [{ path: 'o', digest: small.digest.toMessage() }] });
  await new GrpcActionCache({ channel: channel(A) }).put(key, filed);
  const absent = blob('in nobody’s hands').digest;
  for (const part of ['cache', 'scheduler'] as const) {
    const asked = [small.digest, large.digest, absent];
    expect(await blobs(A, part).findMissing(asked)).toEqual([absent]);
    expect(await blobs(B, part).findMissing(asked)).toEqual(asked);
    for (const digest of asked) expect(await blobs(B, part).read(digest)).toBeUndefined();
    const cas = channel(B, part).client(ContentAddressableStorageDefinition);
    const tree = cas.getTree({
      instanceName: B,
      rootDigest: small.digest.toMessage(),
      pageSize: 0,
      pageToken: '',
      digestFunction: 0,
    });
    expect(await code(Array.fromAsync(tree))).toBe('NOT_FOUND');
    const split = cas.splitBlob({
      instanceName: B,
      blobDigest: large.digest.toMessage(),
      digestFunction: 1,
      chunkingFunction: 0,
    });
    expect(await code(split)).toBe('NOT_FOUND');
    const resourceName = `${B}/compressed-blobs/zstd/${large.digest.hash}/${large.digest.sizeBytes}`;
    const read = channel(B, part)
      .client(ByteStreamDefinition)
      .read({ resourceName, readOffset: 0, readLimit: 0 });
    expect(await code(Array.fromAsync(read))).toBe('NOT_FOUND');
    const results = new GrpcActionCache({ channel: channel(B, part) });
    expect(await results.get({ ...key, instanceName: B })).toBeUndefined();
    expect(await new GrpcActionCache({ channel: channel(A, part) }).get(key)).toMatchObject({ exitCode: 0 });
  }
  for (const view of ['cas', 'ac']) {
    expect(await httpStatus(B, `/${B}/${view}/${small.digest.hash}`)).toBe('404');
    expect(await httpStatus(A, `/${A}/${view}/${small.digest.hash}`)).toBe('200');
  }
  // A result that names a blob of A is none in B.
  await new GrpcActionCache({ channel: channel(B) })
    .put({ ...key, instanceName: B }, filed)
    .catch(() => undefined);
  expect(await new GrpcActionCache({ channel: channel(B) }).get({ ...key, instanceName: B })).toBeUndefined();
  // Only who brings the bytes sees them.
  const lie = await rejection(blobs(B).write(small.digest, bytesOf(Buffer.alloc(small.bytes.byteLength))));
  expect(lie.code).toBe(Code.INVALID_ARGUMENT);
  expect(await blobs(B).findMissing([small.digest])).toEqual([small.digest]);
  await blobs(B).write(small.digest, bytesOf(small.bytes));
  const mine = await blobs(B).read(small.digest);
  expect(mine && (await collectBytes(mine, { bytesMax: 100, what: 'it' }))).toEqual(small.bytes);
  saw(
    'missing and NOT_FOUND for B by every way to ask, through the scheduler too; there for A, and for B once it uploads',
  );
});

fault('R32', 'actions and operations of A, seen by B', async (saw) => {
  const command = ['run', '--output', 'out', '--', 'sh', '-c', 'echo built > out'];
  expect(lastLine(await runAs(A, '--json', ...command))).toMatchObject({ outcome: 'ran' });
  expect(lastLine(await runAs(A, '--json', ...command))).toMatchObject({ outcome: 'hit' });
  expect(lastLine(await runAs(B, '--json', ...command))).toMatchObject({ outcome: 'ran' });

  const running = runAs(A, 'run', '--', 'sh', '-c', 'sleep 8; echo of A');
  const list = (team: string) =>
    channel(team, 'scheduler').client(OperationsDefinition).listOperations({
      name: '',
      filter: 'stage=executing',
      pageSize: 0,
      pageToken: '',
      returnPartialSuccess: false,
    });
  const [operation] = await waitUntil('the action to run', async () => {
    const { operations } = await list(A);
    return operations.length === 1 && operations;
  });
  const name = operation?.name ?? '';
  expect(name).toMatch(new RegExp(`^${A}/operations/`));
  expect((await list(B)).operations).toEqual([]);
  const unknown = `${A}/operations/00000000-0000-0000-0000-000000000000`;
  const asB = channel(B, 'scheduler');
  const answer = async (asked: string) => {
    const operations = asB.client(OperationsDefinition);
    const calls = [
      operations.getOperation({ name: asked }),
      operations.cancelOperation({ name: asked }),
      operations.deleteOperation({ name: asked }),
      operations.waitOperation({ name: asked, timeout: undefined }),
      Array.fromAsync(asB.client(ExecutionDefinition).waitExecution({ name: asked })),
    ];
    const refusals = await Promise.all(calls.map((call) => rejection(call as Promise<unknown>)));
    return refusals.map((refused) => [refused.code, refused.message.replace(asked, 'NAME')]);
  };
  const ofA = await answer(name);
  expect(ofA).toEqual(await answer(unknown));
  expect(new Set(ofA.map(([refused]) => refused))).toEqual(new Set([Code.NOT_FOUND]));
  const log = { resourceName: `${A}/logs/${name.split('/').at(-1)}/stdout`, readOffset: 0, readLimit: 0 };
  expect(await code(Array.fromAsync(asB.client(ByteStreamDefinition).read(log)))).toBe('PERMISSION_DENIED');
  expect(await running).toMatchObject({ code: 0, stdout: 'of A\n' });
  saw(
    'B ran what A had cached; five ways to ask for A’s running operation are NOT_FOUND, word for word as for none',
  );
});

function blob(text: string): { readonly bytes: Buffer; readonly digest: Digest } {
  const bytes = Buffer.from(text);
  return { bytes, digest: Digest.ofBytes(bytes) };
}
