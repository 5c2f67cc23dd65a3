import { readdir } from 'node:fs/promises';
import { env } from 'node:process';
import { expect, it } from 'vitest';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { restartableSource } from '../../cache/remote/restartable-source.ts';
import { DigestHasher } from '../../core/digest.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { defaultRetryPolicy } from '../../core/rpc/rpc-retry-policy.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { sampleBytes } from '../cache/bytes.ts';
import { ServerUnderFault } from '../faults/server-under-fault.ts';
import { tempFolder } from '../setup/temp-folder.ts';

const MIB = 1024 ** 2;
/** INGOT_TEST_LONG=1: a blob of 1 GiB, and 50 kills. */
const LONG = env.INGOT_TEST_LONG === '1';
const BLOB_BYTES = (LONG ? 1024 : 96) * MIB;
const KILLS = LONG ? 50 : 4;
const TEST_MS = LONG ? 1_800_000 : 180_000;
/** What may be lost of an upload in a crash: 16 MiB that were not synced, as much being synced, and what is on its way. */
const LOST_BYTES_MAX = 40 * MIB;

/** The blob's bytes from an offset on, made as they are read. */
function* bytesFrom(offset: number): Generator<Buffer> {
  for (let at = offset; at < BLOB_BYTES; ) {
    const block = sampleBytes(MIB, Math.floor(at / MIB)).subarray(at % MIB);
    yield block;
    at += block.byteLength;
  }
}

it(`resumes an upload whose cache is killed ${KILLS} times, and never begins it anew`, {
  timeout: TEST_MS,
}, async () => {
  const hasher = new DigestHasher(DigestFunction_Value.SHA256);
  for (const block of bytesFrom(0)) hasher.update(block);
  const digest = hasher.digest();
  const kills = Array.from({ length: KILLS }, () => Math.floor(Math.random() * BLOB_BYTES)).sort(
    (a, b) => a - b,
  );
  const resumed: { readonly offset: number; readonly sent: number }[] = [];
  let sent = 0;
  await using data = await tempFolder();
  await using stack = new AsyncDisposableStack();
  let cache = stack.use(await ServerUnderFault.start(data.path));

  async function* pieces(offset: number): AsyncGenerator<Uint8Array> {
    if (sent > 0) resumed.push({ offset, sent });
    let at = offset;
    for (const block of bytesFrom(offset)) {
      yield block;
      at += block.byteLength;
      sent = Math.max(sent, at);
      if (at < (kills[0] ?? Number.POSITIVE_INFINITY)) continue;
      kills.splice(0, kills.findLastIndex((point) => point <= at) + 1);
      await cache.kill();
      cache = stack.use(await ServerUnderFault.start(data.path, { at: cache }));
    }
  }

  // A restart takes its time on a busy machine.
  const retry = { ...defaultRetryPolicy, attemptsMax: 20 };
  await using channel = new RpcChannel({ address: cache.grpc, retry });
  const store = new GrpcBlobStore({ channel, instanceName: '', retry });
  await store.write(digest, restartableSource(pieces));
  console.info(
    `${resumed.length} resumptions; sent again: ${resumed.map((r) => `${((r.sent - r.offset) / MIB).toFixed(1)} MiB`).join(', ')}`,
  );
  expect(resumed.length).toBeGreaterThan(0);
  for (const { offset, sent: before } of resumed) {
    expect(before - offset).toBeLessThan(LOST_BYTES_MAX);
  }
  const seen = new DigestHasher(DigestFunction_Value.SHA256);
  for await (const chunk of (await store.read(digest)) ?? []) seen.update(chunk);
  expect(seen.digest().key).toBe(digest.key);
  expect(await readdir(cache.folder('uploads-v1'))).toEqual([]);
});
