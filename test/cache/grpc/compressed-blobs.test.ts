import { randomUUID } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../../core/digest.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import { bytesOf } from '../../../core/streams.ts';
import {
  Compressor_Value,
  ContentAddressableStorageDefinition,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ByteStreamDefinition } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { compressibleBlob, runZstd, streamedFrame, zstdFrame } from '../compression/zstd-samples.ts';
import { message, messages, OpenWrite } from '../open-write.ts';

const { IDENTITY, ZSTD } = Compressor_Value;
/** Forms are filed behind the answer, when the disk has them. */
const PATIENT = { timeout: 10_000 };

let server: Awaited<ReturnType<typeof openCacheServer>>;
let client: ServiceClient<typeof ByteStreamDefinition>;
let cas: ServiceClient<typeof ContentAddressableStorageDefinition>;
let seed = 9000;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 10_000_000 });
  client = server.channel.client(ByteStreamDefinition);
  cas = server.channel.client(ContentAddressableStorageDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function fresh(sizeBytes: number) {
  seed += 2;
  const blob = compressibleBlob(sizeBytes, seed);
  return { ...blob, uploadName: `uploads/${randomUUID()}/compressed-blobs/zstd/${blob.digest}` };
}

async function read(digest: Digest, readOffset = 0, readLimit = 0): Promise<Buffer> {
  const resourceName = `compressed-blobs/zstd/${digest}`;
  const pieces: Uint8Array[] = [];
  for await (const { data } of client.read({ resourceName, readOffset, readLimit }))
    pieces.push(Buffer.from(data));
  return Buffer.concat(pieces);
}

describe('ByteStream of compressed blobs', () => {
  it('stores what comes as a frame, counts compressed bytes, and gives it either way', async () => {
    const { bytes, digest, uploadName } = fresh(900_000);
    const frame = await runZstd(['-3'], bytes);
    const half = Math.floor(frame.byteLength / 2);
    const response = await client.write(
      messages(
        message(uploadName, 0, frame.subarray(0, half)),
        message('', half, frame.subarray(half), true),
      ),
    );
    expect(response).toEqual({ committedSize: frame.byteLength });
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
    expect((await runZstd(['--decompress'], await read(digest))).equals(bytes)).toBe(true);
    await expect.poll(async () => (await read(digest)).equals(frame), PATIENT).toBe(true);
    expect(await client.queryWriteStatus({ resourceName: uploadName })).toEqual({
      committedSize: -1,
      complete: true,
    });
  });

  it('ends an upload of a blob that is here with -1', async () => {
    const { bytes, digest, uploadName } = fresh(900_000);
    await server.blobStore.write(digest, bytesOf(bytes));
    const again = new OpenWrite(client);
    again.send(message(uploadName, 0, zstdFrame(bytes).subarray(0, 1000)));
    expect(await again.response).toEqual({ committedSize: -1 });
  });

  it('goes on where a broken upload was, in compressed bytes', async () => {
    const { bytes, digest, uploadName } = fresh(900_000);
    const frame = zstdFrame(bytes);
    const broken = new OpenWrite(client);
    broken.send(message(uploadName, 0, frame.subarray(0, 100_000)));
    const status = () => client.queryWriteStatus({ resourceName: uploadName });
    await expect.poll(status).toEqual({ committedSize: 100_000, complete: false });
    broken.cancel();
    await client.write(messages(message(uploadName, 100_000, frame.subarray(100_000), true)));
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
  });

  it.each([0, 1, 500, 1023, 1024, 131_072, 1_000_000])('takes and gives blobs of %i bytes', async (size) => {
    const { bytes, digest, uploadName } = fresh(size);
    await client.write(messages(message(uploadName, 0, await streamedFrame(bytes), true)));
    for (let round = 0; round < 2; round += 1) {
      expect(zstdDecompressSync(await read(digest)).equals(bytes)).toBe(true);
    }
    const { bytes: random, digest: randomDigest } = sampleBlob(size, seed);
    await server.blobStore.write(randomDigest, bytesOf(random));
    for (let round = 0; round < 2; round += 1) {
      expect(zstdDecompressSync(await read(randomDigest)).equals(random)).toBe(true);
    }
  });

  it('counts a read offset in uncompressed bytes, and takes no limit', async () => {
    const { bytes, digest } = fresh(900_000);
    await server.blobStore.write(digest, bytesOf(bytes));
    for (const offset of [1, 450_000, 900_000]) {
      expect(zstdDecompressSync(await read(digest, offset)).equals(bytes.subarray(offset))).toBe(true);
    }
    await expect(read(digest, 0, 10)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'read_limit is 10, expected 0 for a compressed blob',
    });
    await expect(read(digest, 900_001)).rejects.toMatchObject({
      code: Code.OUT_OF_RANGE,
      message: `Read ${digest}: offset 900001 is not from 0 to 900000`,
    });
    await expect(read(fresh(5000).digest)).rejects.toMatchObject({ code: Code.NOT_FOUND });
  });

  it.each<[string, (frame: Buffer, bytes: Buffer) => Buffer | Promise<Buffer>, RegExp]>([
    ['a cut frame', (frame) => frame.subarray(0, -5), /not one zstd frame: it is cut off after \d+ bytes$/],
    [
      'two frames',
      (frame) => Buffer.concat([frame, frame]),
      /not one zstd frame: something follows its end$/,
    ],
    ['trailing junk', (frame) => Buffer.concat([frame, Buffer.from('x')]), /something follows its end$/],
    ['no frame at all', (_frame, bytes) => bytes, /not one zstd frame: it does not begin like one$/],
    ['a bomb', () => streamedFrame(Buffer.alloc(20_000_000)), /: more than 900000 bytes arrived$/],
    [
      'other bytes',
      () => zstdFrame(compressibleBlob(900_000, 1).bytes),
      /: the bytes that arrived are [0-9a-f]{64}\/900000$/,
    ],
  ])('refuses %s and keeps nothing', async (_name, spoil, why) => {
    const { bytes, digest, uploadName } = fresh(900_000);
    const frame = await spoil(zstdFrame(bytes), bytes);
    const pieces = [];
    for (let at = 0; at < frame.byteLength; at += 100_000) {
      const piece = frame.subarray(at, at + 100_000);
      pieces.push(message(at === 0 ? uploadName : '', at, piece, at + 100_000 >= frame.byteLength));
    }
    await expect(client.write(messages(...pieces))).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringMatching(why),
    });
    expect(await server.blobStore.findMissing([digest])).toHaveLength(1);
  });
});

describe('Batches of compressed blobs', () => {
  const base = { instanceName: '', digestFunction: 0 as const };

  it('take blobs compressed or not, each by what it says, and give them compressed where that pays', async () => {
    const [a, b, c] = [fresh(50_000), fresh(400), fresh(60_000)];
    const random = sampleBlob(40_000, 77);
    const requests = [
      { digest: a.digest.toMessage(), data: zstdFrame(a.bytes), compressor: ZSTD },
      { digest: b.digest.toMessage(), data: zstdFrame(b.bytes), compressor: ZSTD },
      { digest: c.digest.toMessage(), data: c.bytes, compressor: IDENTITY },
      { digest: random.digest.toMessage(), data: zstdFrame(random.bytes), compressor: ZSTD },
    ];
    const updated = await cas.batchUpdateBlobs({ ...base, requests });
    expect(updated.responses.map(({ status }) => status?.code)).toEqual([Code.OK, Code.OK, Code.OK, Code.OK]);

    const digests = requests.map(({ digest }) => digest);
    const readBatch = () => cas.batchReadBlobs({ ...base, digests, acceptableCompressors: [ZSTD] });
    await readBatch();
    await expect
      .poll(async () => (await readBatch()).responses.map(({ compressor }) => compressor), PATIENT)
      .toEqual([ZSTD, IDENTITY, ZSTD, IDENTITY]);
    const { responses } = await readBatch();
    const bytes = responses.map(({ data, compressor }) =>
      Buffer.from(compressor === ZSTD ? zstdDecompressSync(data) : data),
    );
    expect(
      bytes.map((data, index) => data.equals([a, b, c, random][index]?.bytes ?? Buffer.alloc(0))),
    ).toEqual([true, true, true, true]);
    expect(responses[0]?.data.byteLength).toBeLessThan(30_000);
    const plain = await cas.batchReadBlobs({ ...base, digests, acceptableCompressors: [] });
    expect(plain.responses.map(({ compressor }) => compressor)).toEqual([0, 0, 0, 0]);
    expect(a.bytes.equals(plain.responses[0]?.data ?? Buffer.alloc(0))).toBe(true);
  });

  it('refuse a bad frame for itself, and a batch that would be too large uncompressed', async () => {
    const [good, bad] = [fresh(5000), fresh(5000)];
    const { responses } = await cas.batchUpdateBlobs({
      ...base,
      requests: [
        { digest: good.digest.toMessage(), data: zstdFrame(good.bytes), compressor: ZSTD },
        { digest: bad.digest.toMessage(), data: zstdFrame(Buffer.alloc(5_000_000)), compressor: ZSTD },
      ],
    });
    expect(responses.map(({ status }) => [status?.code, status?.message])).toEqual([
      [Code.OK, ''],
      [
        Code.INVALID_ARGUMENT,
        `Write ${bad.digest}: the bytes that arrived are not one zstd frame: it says that it holds 5000000 bytes, expected 5000`,
      ],
    ]);
    const large = fresh(4_000_000);
    const requests = [{ digest: large.digest.toMessage(), data: zstdFrame(large.bytes), compressor: ZSTD }];
    await expect(cas.batchUpdateBlobs({ ...base, requests })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'BatchUpdateBlobs: 4000000 bytes in all blobs, at most 3670016 are accepted',
    });
  });
});
