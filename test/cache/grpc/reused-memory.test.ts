import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { messageMemory } from '../../../core/message-memory.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import {
  BatchReadBlobsRequest,
  BatchUpdateBlobsRequest,
  ContentAddressableStorageDefinition,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ByteStreamDefinition, type WriteRequest } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
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

  it('never mixes the bytes of batches that are stored together, some of whose blobs are refused', async () => {
    const batches = Array.from({ length: 24 }, (_, batch) =>
      Array.from({ length: 20 }, (_, at) => sampleBlob(500 + 1_500 * at, 9_000 + 20 * batch + at)),
    );
    const store = async (at: number) => {
      const client = channels[at % CONNECTIONS]!.client(ContentAddressableStorageDefinition);
      const requests = batches[at]!.map(({ bytes, digest }) => ({ digest: digest.toMessage(), data: bytes }));
      // Every third has a blob that is none, and one that others store as well.
      if (at % 3 === 0) {
        requests.push({ digest: batches[at + 1]![0]!.digest.toMessage(), data: Buffer.alloc(500, at) });
        requests.push(requests[3]!);
      }
      const { responses } = await client.batchUpdateBlobs(BatchUpdateBlobsRequest.create({ requests }));
      expect(responses.map(({ status }) => status?.code)).toEqual(
        requests.map((_, index) => (index === 20 ? Code.INVALID_ARGUMENT : Code.OK)),
      );
    };
    const read = async (at: number) => {
      const client = channels[at % CONNECTIONS]!.client(ContentAddressableStorageDefinition);
      const { responses } = await client.batchReadBlobs({
        ...BatchReadBlobsRequest.create(),
        digests: batches[at]!.map(({ digest }) => digest.toMessage()),
      });
      for (const [index, { bytes }] of batches[at]!.entries()) {
        expect(Buffer.from(responses[index]!.data).equals(bytes), `batch ${at}, blob ${index}`).toBe(true);
      }
    };
    const returned = vi.spyOn(messageMemory, 'giveBack');
    const indices = [...batches.keys()];
    await Promise.all(indices.slice(0, 12).map(store));
    await Promise.all([...indices.slice(12).map(store), ...indices.slice(0, 12).map(read)]);
    const stored = returned.mock.calls.length;
    await Promise.all(indices.map(read));
    // Answers are written to such memory as well.
    expect(returned.mock.calls.length).toBeGreaterThan(stored);
    expect(returned.mock.calls.filter(([{ buffer }]) => buffer.byteLength > 200_000).length).toBeGreaterThan(
      10,
    );
    returned.mockRestore();
  });
});
