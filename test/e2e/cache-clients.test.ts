import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import {
  ByteStreamDefinition,
  type QueryWriteStatusResponse,
} from '../../proto/gen/google/bytestream/bytestream.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { message, messages } from '../cache/open-write.ts';
import { CacheProcess, incomingFiles, verifiedBlobs } from './cache-process.ts';

const CLIENT = join(import.meta.dirname, 'cache-client-main.ts');
const SIZE = 500_000;

let data: string;
let cache: CacheProcess;
let channel: RpcChannel;
let client: ServiceClient<typeof ByteStreamDefinition>;
let store: GrpcBlobStore;

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'ingot-e2e-'));
  cache = await CacheProcess.start(data);
  channel = new RpcChannel({ address: cache.address });
  client = channel.client(ByteStreamDefinition);
  store = new GrpcBlobStore({ channel, instanceName: '' });
});
afterEach(async () => {
  await channel.close();
  await cache.kill();
  await rm(data, { recursive: true, force: true });
});

async function committed(resourceName: string, bytes: number): Promise<QueryWriteStatusResponse> {
  await expect
    .poll(async () => (await client.queryWriteStatus({ resourceName })).committedSize, { timeout: 20_000 })
    .toBe(bytes);
  return client.queryWriteStatus({ resourceName });
}

describe('a client that vanishes in mid-upload', () => {
  it('killed, leaves no blob, and its upload can be taken up', async () => {
    const { bytes, digest } = sampleBlob(SIZE, 1);
    const resourceName = `uploads/${randomUUID()}/blobs/${digest}`;
    const sender = spawn(process.execPath, [CLIENT, cache.address, resourceName, '1', `${SIZE}`, '200000']);
    await committed(resourceName, 200_000);
    sender.kill('SIGKILL');
    await new Promise((done) => setTimeout(done, 300));
    expect(await client.queryWriteStatus({ resourceName })).toEqual({
      committedSize: 200_000,
      complete: false,
    });
    expect(await store.findMissing([digest])).toEqual([digest]);
    expect(await incomingFiles(data)).toHaveLength(1);
    expect([...(await verifiedBlobs(data))]).toEqual([]);
    const rest = message(resourceName, 200_000, bytes.subarray(200_000), true);
    expect(await client.write(messages(rest))).toEqual({ committedSize: SIZE });
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    expect(await incomingFiles(data)).toEqual([]);
  });

  it('past its deadline, leaves no blob, and its upload can be taken up', async () => {
    const { bytes, digest } = sampleBlob(SIZE, 2);
    const resourceName = `uploads/${randomUUID()}/blobs/${digest}`;
    async function* stuck() {
      yield message(resourceName, 0, bytes.subarray(0, 100));
      await new Promise(() => undefined);
    }
    await expect(client.write(stuck(), { timeoutMs: 500 })).rejects.toThrow('not finished within');
    expect(await committed(resourceName, 100)).toEqual({ committedSize: 100, complete: false });
    expect(await store.findMissing([digest])).toEqual([digest]);
    await client.write(messages(message(resourceName, 100, bytes.subarray(100), true)));
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  });
});

describe('a thousand uploads of one blob at once', () => {
  it('make one file, all are answered, and the server stays small', async () => {
    const { bytes, digest } = sampleBlob(SIZE, 3);
    let mostFiles = 0;
    const watch = setInterval(async () => {
      mostFiles = Math.max(mostFiles, (await incomingFiles(data)).length);
    }, 5);
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => {
        const resourceName = `uploads/${randomUUID()}/blobs/${digest}`;
        const pieces = [0, 100_000, 200_000, 300_000, 400_000].map((start) =>
          message(resourceName, start, bytes.subarray(start, start + 100_000), start === 400_000),
        );
        return client.write(messages(...pieces));
      }),
    );
    clearInterval(watch);
    expect(new Set(answers.map(({ committedSize }) => committedSize))).toEqual(new Set([SIZE]));
    expect(mostFiles).toBeLessThanOrEqual(2);
    expect([...(await verifiedBlobs(data))]).toEqual([digest.hash]);
    expect(await incomingFiles(data)).toEqual([]);
    const status = await readFile(`/proc/${cache.pid}/status`, 'utf8');
    const peakMib = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
    console.log(
      `1000 uploads of ${SIZE} bytes: at most ${mostFiles} files staged, server peak ${Math.round(peakMib)} MiB`,
    );
    expect(peakMib).toBeLessThan(600);
  });
});
