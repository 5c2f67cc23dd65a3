import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Digest } from '../../core/digest.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { message, messages, OpenWrite } from '../cache/open-write.ts';
import { rejection } from '../setup/rejection.ts';
import { fault, type Saw } from './fault.ts';
import { sharedServer } from './shared-server.ts';

const CLIENT = join(import.meta.dirname, '../e2e/cache-client-main.ts');
/** Large enough to be a file, so that something could be left of it. */
const SIZE = 3_000_000;
const SENT = 1_000_000;

const cache = sharedServer();
const byteStream = () => cache().channel.client(ByteStreamDefinition);
let seed = 16_000;

function upload() {
  seed += 1;
  const { bytes, digest } = sampleBlob(SIZE, seed);
  return { bytes, digest, seed, resourceName: `uploads/${randomUUID()}/blobs/${digest}` };
}

const committedOf = async (resourceName: string) => byteStream().queryWriteStatus({ resourceName });

/** Nothing is committed; what had arrived is told truly, and the upload goes on from there to a right blob. */
async function expectResumable(
  resourceName: string,
  { digest, bytes }: { digest: Digest; bytes: Buffer },
  saw: Saw,
) {
  expect(await cache().blobs.findMissing([digest])).toEqual([digest]);
  const { committedSize, complete } = await committedOf(resourceName);
  expect(complete).toBe(false);
  expect(committedSize).toBeLessThanOrEqual(SENT);
  const rest = message(resourceName, committedSize, bytes.subarray(committedSize), true);
  expect(await byteStream().write(messages(rest))).toEqual({ committedSize: SIZE });
  expect((await readAll(cache().blobs, digest))?.equals(bytes)).toBe(true);
  const { uploads } = await cache().status();
  expect(uploads).toBe(0);
  saw(
    `nothing committed; QueryWriteStatus said ${committedSize} of ${SENT} sent; resumed there to a right blob`,
  );
}

async function sent(resourceName: string): Promise<void> {
  await expect
    .poll(async () => (await committedOf(resourceName)).committedSize, { timeout: 20_000 })
    .toBe(SENT);
}

fault('R16', 'a client is killed in mid-upload', async (saw) => {
  const { bytes, digest, seed: own, resourceName } = upload();
  const sender = spawn(process.execPath, [
    CLIENT,
    cache().grpc,
    resourceName,
    `${own}`,
    `${SIZE}`,
    `${SENT}`,
  ]);
  await sent(resourceName);
  sender.kill('SIGKILL');
  await once(sender, 'exit');
  await sleep(200);
  await expectResumable(resourceName, { digest, bytes }, saw);
});

fault('R16', 'a client cancels in mid-upload', async (saw) => {
  const { bytes, digest, resourceName } = upload();
  const write = new OpenWrite(byteStream());
  write.send(message(resourceName, 0, bytes.subarray(0, SENT)));
  await sent(resourceName);
  write.cancel();
  await rejection(write.response);
  await expectResumable(resourceName, { digest, bytes }, saw);
});

fault('R16', "a client's deadline passes in mid-upload", async (saw) => {
  const { bytes, digest, resourceName } = upload();
  async function* stuck() {
    yield message(resourceName, 0, bytes.subarray(0, SENT));
    await new Promise(() => undefined);
  }
  const error = await rejection(byteStream().write(stuck(), { timeoutMs: 700 }));
  saw(error.message);
  await expectResumable(resourceName, { digest, bytes }, saw);
});

fault('R16', 'a connection is reset in mid-upload', async (saw) => {
  const { bytes, digest, resourceName } = upload();
  const own = new RpcChannel({ address: cache().grpc });
  const write = new OpenWrite(own.client(ByteStreamDefinition));
  write.send(message(resourceName, 0, bytes.subarray(0, SENT)));
  await sent(resourceName);
  await own.close();
  await rejection(write.response);
  await expectResumable(resourceName, { digest, bytes }, saw);
});

fault('R16', 'a client closes its half without finish_write', async (saw) => {
  const { bytes, digest, resourceName } = upload();
  expect(await byteStream().write(messages(message(resourceName, 0, bytes.subarray(0, SENT))))).toEqual({
    committedSize: SENT,
  });
  await expectResumable(resourceName, { digest, bytes }, saw);
});
