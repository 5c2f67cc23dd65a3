import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageMemory } from '../../../core/message-memory.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { ByteStreamDefinition, type WriteRequest } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { message } from '../open-write.ts';

const CONNECTIONS = 3;
/** Whole in a message and in several, in segments and in files, staged with a journal, and odd in every way. */
const SIZES = [9_000, 16_384, 40_000, 65_536, 70_001, 300_000, 1_048_576, 5_000_011];
const EACH = 6;

let server: Awaited<ReturnType<typeof openCacheServer>>;
const channels: RpcChannel[] = [];

beforeAll(async () => {
  server = await openCacheServer({ recentBlobBytes: 200_000 });
  for (let at = 0; at < CONNECTIONS; at++) {
    channels.push(new RpcChannel({ address: `127.0.0.1:${server.port}` }));
  }
});
afterAll(async () => {
  for (const channel of channels) await channel.close();
  await server[Symbol.asyncDispose]();
});

function clientOf(at: number) {
  return channels[at % CONNECTIONS]!.client(ByteStreamDefinition);
}

async function* pieces(
  resourceName: string,
  bytes: Buffer,
  pieceBytes: number,
): AsyncGenerator<WriteRequest> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    yield message(resourceName, at, piece, at + piece.length === bytes.length);
  }
}

describe('memory that serves again', () => {
  it('never mixes the bytes of calls that run together, written, read and written again', async () => {
    const blobs = Array.from({ length: SIZES.length * EACH }, (_, at) =>
      sampleBlob(SIZES[at % SIZES.length]!, 7_000 + at),
    );
    const write = async (at: number) => {
      const { bytes, digest } = blobs[at]!;
      const name = `uploads/00000000-0000-4000-8000-${String(at).padStart(12, '0')}/blobs/${digest.hash}/${digest.sizeBytes}`;
      const { committedSize } = await clientOf(at).write(
        pieces(name, bytes, [16_384, 65_536, 3_000_000][at % 3]!),
      );
      expect(committedSize).toBe(bytes.length);
    };
    const read = async (at: number) => {
      const { bytes, digest } = blobs[at]!;
      const answers = clientOf(at + 1).read({
        resourceName: `blobs/${digest.hash}/${digest.sizeBytes}`,
        readOffset: 0,
        readLimit: 0,
      });
      const chunks = await Array.fromAsync(answers, ({ data }) => data);
      expect(Buffer.concat(chunks).equals(bytes), `blob ${at} of ${bytes.length} bytes`).toBe(true);
    };
    const half = blobs.length / 2;
    const indices = [...blobs.keys()];
    await Promise.all(indices.slice(0, half).map(write));
    await Promise.all([...indices.slice(half).map(write), ...indices.slice(0, half).map(read)]);
    for (let round = 0; round < 3; round++) await Promise.all(indices.map(read));
    // Else nothing was used again, and the test would say nothing.
    expect(messageMemory.freeBytes).toBeGreaterThan(0);
  });
});
