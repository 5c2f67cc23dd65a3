import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { GrpcLogStreams } from '../../cache/remote/grpc-log-streams.ts';
import { Digest } from '../../core/digest.ts';
import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  ActionResult,
  CapabilitiesDefinition,
  ExecuteRequest,
  ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { FarmDefinition } from '../../proto/gen/ingot/v1/farm.ts';
import { ingot } from '../e2e/cli-process.ts';
import { sandboxLevel } from '../e2e/up-farm.ts';
import { Bazel } from '../setup/bazel.ts';
import { Cluster } from '../setup/cluster.ts';
import { rejection } from '../setup/rejection.ts';
import { TestTokens } from '../setup/test-tokens.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { fault } from './fault.ts';

const run = promisify(execFile);
const ROLES = ['reader', 'writer', 'publisher', 'worker', 'scheduler'];
/** From `ingot token revoke` to the end of what the token began: a look at the file, a look at the call, and slack. */
const REVOKED_MS = 4_000;

let folder: string;
let tokens: TestTokens;
let cluster: Cluster;
const channels: RpcChannel[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-r31-'));
  tokens = new TestTokens(folder);
  for (const role of ROLES) await tokens.create(role, role);
  await tokens.create('team-a', 'publisher', '--instances', 'team-a');
  await tokens.create('shaky', 'writer');
  cluster = await Cluster.start({
    cacheFlags: ['--tokens', tokens.path],
    schedulerFlags: ['--tokens', tokens.path, '--token-file', tokens.file('scheduler')],
    workerFlags: ['--token-file', tokens.file('worker'), '--sandbox', sandboxLevel],
    client: { token: tokens.of('writer') },
  });
});
afterAll(async () => {
  for (const channel of channels) await channel.close();
  await cluster?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A grpc-js channel that sends this token; `undefined` sends none. */
function channel(token: string | undefined, part: 'cache' | 'scheduler' = 'cache'): RpcChannel {
  const made = new RpcChannel({ address: cluster[part].endpoint('grpc'), security: { token: () => token } });
  channels.push(made);
  return made;
}

/** The code a promise is refused with, by name. */
async function code(promise: Promise<unknown>): Promise<string> {
  const refused = await rejection(promise);
  return Object.entries(Code).find(([, value]) => value === refused.code)?.[0] ?? String(refused.code);
}

async function httpStatus(
  token: string | undefined,
  path: string,
  ...flags: readonly string[]
): Promise<string> {
  const credential = token === undefined ? [] : ['--oauth2-bearer', token];
  const url = `http://${cluster.cache.endpoint('http')}${path}`;
  const { stdout } = await run('curl', [
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    ...credential,
    ...flags,
    url,
  ]);
  return stdout;
}

function blob(text: string): { readonly bytes: Buffer; readonly digest: Digest } {
  const bytes = Buffer.from(text);
  return { bytes, digest: Digest.ofBytes(bytes) };
}

/** Executes an action that is not even stored: who may not execute is not told that. */
function execute(token: string | undefined, instanceName = ''): Promise<unknown> {
  const { digest } = blob('no action');
  const request = ExecuteRequest.fromPartial({ instanceName, actionDigest: digest.toMessage() });
  return Array.fromAsync(channel(token, 'scheduler').client(ExecutionDefinition).execute(request));
}

fault('R31', 'no token, a made-up one, the hash of a good one', async (saw) => {
  const { sha256 } = (JSON.parse(await tokens.fileText()) as { tokens: { sha256: string }[] }).tokens[0]!;
  const bad = [undefined, 'ingot_'.padEnd(49, 'x'), sha256, `${tokens.of('publisher')}x`];
  for (const token of bad) {
    for (const part of ['cache', 'scheduler'] as const) {
      const client = channel(token, part);
      const { digest } = blob('anything');
      expect(await code(client.client(CapabilitiesDefinition).getCapabilities({ instanceName: '' }))).toBe(
        'UNAUTHENTICATED',
      );
      expect(await code(new GrpcBlobStore({ channel: client, instanceName: '' }).findMissing([digest]))).toBe(
        'UNAUTHENTICATED',
      );
    }
    expect(await code(execute(token))).toBe('UNAUTHENTICATED');
    expect(await code(channel(token, 'scheduler').client(FarmDefinition).getStatus({}))).toBe(
      'UNAUTHENTICATED',
    );
    for (const path of [`/cas/${'0'.repeat(64)}`, '/status', '/metrics']) {
      expect(await httpStatus(token, path)).toBe('401');
    }
  }
  expect(await httpStatus(undefined, '/healthz')).toBe('200');
  expect(await httpStatus(undefined, '/status', '-u', `any:${tokens.of('reader')}`)).toBe('200');
  const said = await ingot(['--endpoint', cluster.scheduler.endpoint('grpc'), 'status']);
  expect(said.code).toBe(77);
  expect(said.stderr).toContain('hint: give your token as INGOT_TOKEN, or its file as --token-file\n');
  saw(
    `${bad.length} bad credentials: UNAUTHENTICATED by gRPC, 401 by curl, exit 77 with a hint by ingot status`,
  );
});

fault('R31', 'a reader that writes: CAS, action cache, HTTP, Execute', async (saw) => {
  const token = tokens.of('reader');
  const reader = channel(token);
  const { bytes, digest } = blob('a reader writes');
  const large = blob('x'.repeat(5_000_000));
  const store = new GrpcBlobStore({ channel: reader, instanceName: '' });
  expect(await code(store.write(digest, bytesOf(bytes)))).toBe('PERMISSION_DENIED');
  expect(await code(store.write(large.digest, bytesOf(large.bytes)))).toBe('PERMISSION_DENIED');
  const key = { instanceName: '', actionDigest: digest };
  const results = new GrpcActionCache({ channel: reader });
  expect(await code(results.put(key, ActionResult.create()))).toBe('PERMISSION_DENIED');
  expect(await code(execute(token))).toBe('PERMISSION_DENIED');
  for (const path of ['cas', 'ac']) {
    expect(await httpStatus(token, `/${path}/${digest.hash}`, '-T', '/etc/hostname')).toBe('403');
  }
  expect(await httpStatus(token, '/webdav/x', '-T', '/etc/hostname')).toBe('403');
  expect(await store.findMissing([digest, large.digest])).toEqual([digest, large.digest]);
  expect(await results.get(key)).toBeUndefined();
  const { cacheCapabilities } = await reader
    .client(CapabilitiesDefinition)
    .getCapabilities({ instanceName: '' });
  expect(cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled).toBe(false);
  saw('PERMISSION_DENIED or 403 for 7 ways to write, nothing stored, update_enabled false');
});

fault('R31', 'a worker that files results without a lease; a client that acts as a worker', async (saw) => {
  const { bytes, digest } = blob('what an action is known by');
  const publisher = new GrpcBlobStore({ channel: channel(tokens.of('publisher')), instanceName: '' });
  await publisher.write(digest, bytesOf(bytes));
  const key = { instanceName: '', actionDigest: digest };
  const poison = ActionResult.create({ exitCode: 0 });
  for (const role of ['worker', 'writer', 'reader']) {
    expect(await code(new GrpcActionCache({ channel: channel(tokens.of(role)) }).put(key, poison))).toBe(
      'PERMISSION_DENIED',
    );
    expect(await httpStatus(tokens.of(role), `/ac/${digest.hash}`, '-T', '/etc/hostname')).toBe('403');
  }
  expect(await code(execute(tokens.of('worker')))).toBe('PERMISSION_DENIED');
  const name = 'logs/0b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f/stdout';
  for (const role of ['writer', 'publisher']) {
    const logs = new GrpcLogStreams({ channel: channel(tokens.of(role)) });
    expect(await code(logs.write(name, bytesOf(Buffer.from('forged'))))).toBe('PERMISSION_DENIED');
  }
  // The farm itself, whose worker has that very token, computes and files.
  const flags = ['--endpoint', cluster.scheduler.endpoint('grpc'), '--token-file', tokens.file('writer')];
  const command = ['run', '--output', 'out', '--', 'sh', '-c', 'echo computed > out'];
  const first = await ingot([...flags, ...command], { cwd: folder });
  expect(first, first.stderr).toMatchObject({ code: 0 });
  const second = await ingot([...flags, '--json', ...command], { cwd: folder });
  expect(JSON.parse(second.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ outcome: 'hit' });
  saw('worker, writer and reader: no result filed, no log forged; the scheduler filed what its worker ran');
});

fault('R31', 'the token of another instance', async (saw) => {
  const token = tokens.of('team-a');
  const own = new GrpcBlobStore({ channel: channel(token), instanceName: 'team-a' });
  const { bytes, digest } = blob('of team a');
  await own.write(digest, bytesOf(bytes));
  expect(await own.findMissing([digest])).toEqual([]);
  const answers = new Set<string>();
  for (const instanceName of ['', 'team-b', 'nobody-has-it']) {
    const store = new GrpcBlobStore({ channel: channel(token), instanceName });
    for (const wanted of [digest, blob('never stored').digest]) {
      const { message } = await rejection(store.findMissing([wanted]));
      answers.add(message.replace(JSON.stringify(instanceName), 'INSTANCE'));
    }
    expect(await code(store.write(digest, bytesOf(bytes)))).toBe('PERMISSION_DENIED');
    expect(await code(execute(token, instanceName))).toBe('PERMISSION_DENIED');
    const prefix = instanceName === '' ? '' : `/${instanceName}`;
    expect(await httpStatus(token, `${prefix}/cas/${digest.hash}`)).toBe('403');
  }
  expect([...answers]).toEqual(['team-a may not use the instance INSTANCE']);
  saw('the same PERMISSION_DENIED whether or not the blob, or the instance, is there');
});

fault('R31', 'revoked with a Write, a Read and an Execute open', async (saw) => {
  const token = tokens.of('shaky');
  const begun = Promise.withResolvers<void>();
  const { bytes, digest } = blob('never finished '.repeat(1000));
  const write = code(
    channel(token)
      .client(ByteStreamDefinition)
      .write(
        (async function* () {
          const resourceName = `uploads/6b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f/blobs/${digest.hash}/${digest.sizeBytes}`;
          yield { resourceName, writeOffset: 0, finishWrite: false, data: bytes.subarray(0, 100) };
          begun.resolve();
          await new Promise((resolve) => setTimeout(resolve, 20_000).unref());
        })(),
        { timeoutMs: 0 },
      ),
  );
  await begun.promise;
  // A log that nobody has written to yet is waited for.
  const logs = new GrpcLogStreams({ channel: channel(token) });
  const read = code(Array.fromAsync(logs.read('logs/1b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f/stdout', 0)));
  const flags = ['--endpoint', cluster.scheduler.endpoint('grpc'), '--token-file', tokens.file('shaky')];
  const execution = ingot([...flags, 'run', '--', 'sh', '-c', 'sleep 30 # revoked'], { cwd: folder });
  await waitUntil('the action to run', async () => (await cluster.status()).executing === 1);
  await tokens.revoke('shaky');
  const revokedMs = performance.now();
  expect(await write).toBe('UNAUTHENTICATED');
  expect(await read).toBe('UNAUTHENTICATED');
  const ended = await execution;
  const endedMs = performance.now() - revokedMs;
  expect(ended.code, ended.stderr).toBe(77);
  expect(endedMs).toBeLessThan(REVOKED_MS);
  const store = new GrpcBlobStore({ channel: channel(tokens.of('reader')), instanceName: '' });
  expect(await store.findMissing([digest])).toEqual([digest]);
  saw(`all three ended UNAUTHENTICATED ${Math.round(endedMs)} ms after the token was revoked`);
});

fault('R31', 'expired with a stream open', async (saw) => {
  const token = await tokens.create('brief', 'reader', '--expires', '4s');
  const logs = new GrpcLogStreams({ channel: channel(token) });
  const name = 'logs/2b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f/stdout';
  // The cache must have seen the new token before.
  await waitUntil('the token to be known', async () => (await httpStatus(token, '/status')) === '200');
  const startMs = performance.now();
  expect(await code(Array.fromAsync(logs.read(name, 0)))).toBe('UNAUTHENTICATED');
  const openMs = performance.now() - startMs;
  expect(await httpStatus(token, '/status')).toBe('401');
  saw(`the stream was open for ${Math.round(openMs)} ms and ended UNAUTHENTICATED`);
});

fault(
  'R31',
  'a real Bazel with a token, and without',
  async (saw) => {
    await using bazel = await Bazel.create();
    const remote = [
      `--remote_executor=grpc://${cluster.scheduler.endpoint('grpc')}`,
      '//app/...',
      '//gen/...',
    ];
    const header = (name: string) => `--remote_header=authorization=Bearer ${tokens.of(name)}`;
    const none = await bazel.run('build', ...remote);
    expect([none.exitCode, none.output]).toEqual([34, expect.stringContaining('UNAUTHENTICATED')]);
    const reader = await bazel.run('build', ...remote, header('reader'));
    expect(reader.exitCode).toBe(34);
    expect(reader.output).toContain('the current account is not authorized to use remote execution');
    const writer = await bazel.run('build', ...remote, header('writer'));
    expect(writer.exitCode, writer.output).toBe(0);
    expect(writer.processes.get('remote'), writer.output).toBeGreaterThan(0);
    saw(`refused without; built ${writer.processes.get('remote')} actions with a writer's --remote_header`);
  },
  { timeoutMs: 170_000 },
);

fault('R31', 'each refusal is in the log, and no token in anything written', async (saw) => {
  const parts = [cluster.cache, cluster.scheduler, ...cluster.workers];
  const refusals = parts.flatMap(({ records }) =>
    records.filter(({ message }) => message === 'a call was refused'),
  );
  expect(refusals.length).toBeGreaterThan(40);
  for (const line of refusals) {
    expect(line).toMatchObject({
      level: 'warn',
      method: expect.stringMatching(/^\/|^(GET|HEAD|PUT) /),
      peer: expect.stringContaining('127.0.0.1:'),
      reason: expect.stringMatching(/./),
    });
  }
  const execution = '/build.bazel.remote.execution.v2.Execution/Execute';
  expect(refusals).toContainEqual(
    expect.objectContaining({
      method: execution,
      caller: 'team-a',
      instance: 'team-b',
      reason: 'team-a may not use the instance "team-b"',
    }),
  );
  for (const { log, pid } of parts) {
    expect(tokens.namesIn(log)).toEqual([]);
    expect(tokens.namesIn(await readFile(`/proc/${pid}/cmdline`, 'utf8'))).toEqual([]);
  }
  let files = 0;
  for (const entry of await readdir(cluster.folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    const text = await readFile(join(entry.parentPath, entry.name), 'latin1');
    expect(tokens.namesIn(text), entry.name).toEqual([]);
  }
  expect(tokens.namesIn(await tokens.fileText())).toEqual([]);
  saw(
    `${refusals.length} refusals logged; no token in the logs, command lines and ${files} files of the parts`,
  );
});
