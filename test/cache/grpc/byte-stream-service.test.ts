import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../../core/digest.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import { ByteStreamDefinition } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { message, messages, OpenWrite } from '../open-write.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let client: ServiceClient<typeof ByteStreamDefinition>;
let seed = 5000;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 10_000_000 });
  client = server.channel.client(ByteStreamDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function fresh(sizeBytes: number) {
  seed += 1;
  const blob = sampleBlob(sizeBytes, seed);
  return { ...blob, resourceName: `uploads/${randomUUID()}/blobs/${blob.digest}` };
}

async function committed(resourceName: string, atLeast: number): Promise<number> {
  for (let round = 0; round < 200; round += 1) {
    const { committedSize } = await client.queryWriteStatus({ resourceName });
    if (committedSize >= atLeast) return committedSize;
    await sleep(5);
  }
  throw new Error(`${resourceName} never had ${atLeast} bytes`);
}

async function expectStored(digest: Digest, bytes: Buffer): Promise<void> {
  expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
}

async function incoming(): Promise<string[]> {
  return readdir(join(server.folder, 'incoming'));
}

describe('ByteStream.Write', () => {
  it('stores a blob sent in pieces, and says so', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    expect(await client.queryWriteStatus({ resourceName })).toEqual({ committedSize: 0, complete: false });
    const response = await client.write(
      messages(
        message(resourceName, 0, bytes.subarray(0, 400)),
        message('', 400, bytes.subarray(400, 900)),
        message(resourceName, 900, bytes.subarray(900)),
        message('', 1000, undefined, true),
      ),
    );
    expect(response).toEqual({ committedSize: 1000 });
    await expectStored(digest, bytes);
    expect(await client.queryWriteStatus({ resourceName })).toEqual({ committedSize: 1000, complete: true });
  });

  it('answers for a blob that is there at its first message', async () => {
    const { bytes, resourceName } = fresh(1000);
    await client.write(messages(message(resourceName, 0, bytes, true)));
    const again = new OpenWrite(client);
    again.send(
      message(resourceName.replace(/uploads\/[^/]*/, `uploads/${randomUUID()}`), 0, bytes.subarray(0, 10)),
    );
    expect(await again.response).toEqual({ committedSize: 1000 });
  });

  it('stores the empty blob', async () => {
    const { resourceName } = fresh(0);
    expect(await client.write(messages(message(resourceName, 0, undefined, true)))).toEqual({
      committedSize: 0,
    });
  });

  it('keeps what arrived before the client cancelled, and goes on from there', async () => {
    const { bytes, digest, resourceName } = fresh(100_000);
    const first = new OpenWrite(client);
    first.send(message(resourceName, 0, bytes.subarray(0, 60_000)));
    expect(await committed(resourceName, 60_000)).toBe(60_000);
    first.cancel();
    await expect(first.response).rejects.toMatchObject({ code: Code.CANCELLED });
    expect(await client.queryWriteStatus({ resourceName })).toEqual({
      committedSize: 60_000,
      complete: false,
    });
    expect(await server.blobStore.findMissing([digest])).toEqual([digest]);
    expect((await incoming()).length).toBe(1);
    const rest = message(resourceName, 60_000, bytes.subarray(60_000), true);
    expect(await client.write(messages(rest))).toEqual({ committedSize: 100_000 });
    await expectStored(digest, bytes);
    await expect.poll(incoming).toEqual([]);
  });

  it('answers a stream that ends without finish_write with what has arrived, and stores nothing', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    const response = await client.write(messages(message(resourceName, 0, bytes)));
    expect(response).toEqual({ committedSize: 1000 });
    expect(await server.blobStore.findMissing([digest])).toEqual([digest]);
    expect(await client.queryWriteStatus({ resourceName })).toEqual({ committedSize: 1000, complete: false });
    expect(await client.write(messages(message(resourceName, 1000, undefined, true)))).toEqual({
      committedSize: 1000,
    });
    await expectStored(digest, bytes);
  });

  it('begins anew when a stream begins at 0 again', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    await client.write(messages(message(resourceName, 0, bytes.subarray(0, 300))));
    await client.write(messages(message(resourceName, 0, bytes, true)));
    await expectStored(digest, bytes);
    await expect.poll(incoming).toEqual([]);
  });

  it('gives the upload to the newer of two streams', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    const older = new OpenWrite(client);
    older.send(message(resourceName, 0, bytes.subarray(0, 300)));
    await committed(resourceName, 300);
    const newer = new OpenWrite(client);
    newer.send(message(resourceName, 300, bytes.subarray(300, 500)));
    await expect(older.response).rejects.toMatchObject({
      code: Code.ABORTED,
      message: `Write ${digest}: another stream has taken the upload over`,
    });
    newer.send(message(resourceName, 500, bytes.subarray(500), true));
    expect(await newer.response).toEqual({ committedSize: 1000 });
    await expectStored(digest, bytes);
  });

  const wrongOffsets: [string, number, Code][] = [
    ['a gap', 400, Code.OUT_OF_RANGE],
    ['a step back', 200, Code.INVALID_ARGUMENT],
    ['a negative offset', -1, Code.INVALID_ARGUMENT],
  ];
  for (const [what, offset, code] of wrongOffsets) {
    it(`refuses ${what} within a stream, and lets a correct stream go on`, async () => {
      const { bytes, digest, resourceName } = fresh(1000);
      const wrong = messages(
        message(resourceName, 0, bytes.subarray(0, 300)),
        message('', offset, bytes.subarray(300)),
      );
      await expect(client.write(wrong)).rejects.toMatchObject({
        code,
        message: `Write ${digest}: offset ${offset} where 300 bytes have arrived`,
      });
      expect(await server.blobStore.findMissing([digest])).toEqual([digest]);
      await client.write(messages(message(resourceName, 300, bytes.subarray(300), true)));
      await expectStored(digest, bytes);
    });
  }

  it('refuses a stream that begins where nothing has arrived', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    await expect(client.write(messages(message(resourceName, 7, bytes, true)))).rejects.toMatchObject({
      code: Code.OUT_OF_RANGE,
      message: `Write ${digest}: offset 7 where 0 bytes have arrived`,
    });
    await expect.poll(incoming).toEqual([]);
  });

  it('refuses a resource name that changes on the way', async () => {
    const { bytes, resourceName } = fresh(1000);
    const other = fresh(1000).resourceName;
    await expect(
      client.write(messages(message(resourceName, 0, bytes.subarray(0, 300)), message(other, 300, bytes))),
    ).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining('the resource name changed to'),
    });
    await client.write(messages(message(resourceName, 300, bytes.subarray(300), true)));
  });

  it('refuses a message after finish_write, and stores no wrong byte', async () => {
    const { bytes, digest, resourceName } = fresh(9_000_000);
    const pieces = [0, 3_000_000, 6_000_000].map((start) =>
      message(resourceName, start, bytes.subarray(start, start + 3_000_000), start === 6_000_000),
    );
    const outcome = await client
      .write(messages(...pieces, message(resourceName, 9_000_000, Buffer.from('more'))))
      .catch((error: unknown) => error);
    // The store may be done before the message is seen; then the upload has simply succeeded.
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `Write ${digest}: a message came after finish_write`,
      });
    }
    const stored = await readAll(server.blobStore, digest);
    expect(stored === undefined || stored.equals(bytes)).toBe(true);
  });

  it('refuses bytes beyond the size at once, and forgets the upload', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    const write = new OpenWrite(client);
    write.send(message(resourceName, 0, Buffer.concat([bytes, Buffer.from('x')])));
    await expect(write.response).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: more than 1000 bytes arrived`,
    });
    expect(await client.queryWriteStatus({ resourceName })).toEqual({ committedSize: 0, complete: false });
    await expect.poll(incoming).toEqual([]);
  });

  it('refuses an end before the last byte, and bytes of another digest', async () => {
    const { bytes, digest, resourceName } = fresh(1000);
    const other = fresh(1000);
    const short = message(resourceName, 0, bytes.subarray(0, 999), true);
    await expect(client.write(messages(short))).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect(client.write(messages(message(resourceName, 0, other.bytes, true)))).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: the bytes that arrived are ${other.digest}`,
    });
    expect(await server.blobStore.findMissing([digest, other.digest])).toEqual([digest, other.digest]);
    await expect.poll(incoming).toEqual([]);
  });

  it('refuses what is no upload name, or too large, before anything is written', async () => {
    const { bytes, digest } = fresh(1000);
    const uuid = randomUUID();
    const upper = digest.hash.toUpperCase();
    const names = [
      `uploads/${uuid}/blobs/${upper}/1000`,
      `uploads/${uuid}/blobs/${digest.hash.slice(1)}/1000`,
      `uploads/${uuid}/blobs/${digest.hash}0/1000`,
      `uploads/${uuid}/blobs/${digest.hash}/-1`,
      `uploads/${uuid}/blobs/${digest.hash}/9223372036854775807`,
      `uploads/${uuid}/blobs/${digest.hash}/0`,
      `uploads/${uuid}/blobs/${digest.hash}/10000001`,
      `uploads/${uuid}/blobs/${sampleBlob(0).digest.hash}/1000`,
      `uploads/no-uuid/blobs/${digest}`,
      `../../etc/uploads/${uuid}/blobs/${digest}`,
      `blobs/${digest}`,
      'nonsense',
      '',
    ];
    for (const name of names) {
      await expect(client.write(messages(message(name, 0, bytes, true))), name).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
    }
    await expect(client.write(messages())).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'Write: the stream has no message',
    });
    await expect.poll(incoming).toEqual([]);
  });

  it('does not take uploads, nor give blobs, compressed in a way that is not announced', async () => {
    const { bytes, digest } = fresh(1000);
    const name = `uploads/${randomUUID()}/compressed-blobs/deflate/${digest}`;
    const refusal = { code: Code.UNIMPLEMENTED, message: 'compressor DEFLATE is not announced' };
    await expect(client.write(messages(message(name, 0, bytes, true)))).rejects.toMatchObject(refusal);
    await expect(client.queryWriteStatus({ resourceName: name })).rejects.toMatchObject(refusal);
    await expect(collect(`compressed-blobs/deflate/${digest}`)).rejects.toMatchObject(refusal);
  });

  it('makes one blob of a hundred uploads at once, each by another name', async () => {
    const { bytes, digest } = fresh(200_000);
    const responses = await Promise.all(
      Array.from({ length: 100 }, () =>
        client.write(
          messages(
            message(`uploads/${randomUUID()}/blobs/${digest}`, 0, bytes.subarray(0, 100_000)),
            message('', 100_000, bytes.subarray(100_000), true),
          ),
        ),
      ),
    );
    expect(new Set(responses.map(({ committedSize }) => committedSize))).toEqual(new Set([200_000]));
    await expectStored(digest, bytes);
    await expect.poll(incoming).toEqual([]);
  });
});

async function collect(resourceName: string, readOffset = 0, readLimit = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of client.read({ resourceName, readOffset, readLimit })) chunks.push(data);
  return Buffer.concat(chunks);
}

describe('ByteStream.Read', () => {
  it('reads a blob, or a part of it', async () => {
    const { bytes, digest, resourceName } = fresh(300_000);
    await client.write(messages(message(resourceName, 0, bytes, true)));
    expect((await collect(`blobs/${digest}`)).equals(bytes)).toBe(true);
    const elsewhere = collect(`some/instance/blobs/${digest}`);
    await expect(elsewhere).rejects.toMatchObject({ code: Code.NOT_FOUND });
    expect((await collect(`blobs/${digest}`, 299_000)).equals(bytes.subarray(299_000))).toBe(true);
    expect((await collect(`blobs/${digest}`, 1000, 5)).equals(bytes.subarray(1000, 1005))).toBe(true);
    expect(await collect(`blobs/${digest}`, 300_000)).toEqual(Buffer.alloc(0));
  });

  it('says what it cannot read, and why', async () => {
    const { digest } = fresh(1000);
    await expect(collect(`blobs/${digest}`)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `blob ${digest} is not here`,
    });
    await expect(collect(`blobs/${digest}`, 1001)).rejects.toMatchObject({ code: Code.OUT_OF_RANGE });
    await expect(collect(`blobs/${digest}`, -1)).rejects.toMatchObject({
      code: Code.OUT_OF_RANGE,
      message: 'read_offset is -1, expected 0 or more',
    });
    await expect(collect(`blobs/${digest}`, 0, -1)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'read_limit is -1, expected 0 or more',
    });
    await expect(collect('blobs/abc/10')).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });
});
