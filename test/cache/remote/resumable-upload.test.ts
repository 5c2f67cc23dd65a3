import { describe, expect, it } from 'vitest';
import { restartableSource } from '../../../cache/remote/restartable-source.ts';
import { uploadResumably } from '../../../cache/remote/resumable-upload.ts';
import { cancelled, invalidArgument, unavailable } from '../../../core/error.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import { bytesOf } from '../../../core/streams.ts';
import type { ByteStreamDefinition, WriteRequest } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { inPieces, sampleBytes } from '../bytes.ts';

const RETRY = { attemptsMax: 3, firstBackoffMs: 1, backoffMsMax: 1 };

/** A server that breaks off each stream after so many bytes, and keeps so much of what it got. */
class FlakyServer {
  readonly #breakAfter: number[];
  readonly #keep: (bytes: number) => number;
  stored = Buffer.alloc(0);
  finished = false;
  streams = 0;

  constructor(breakAfter: number[], keep: (bytes: number) => number = (bytes) => bytes) {
    this.#breakAfter = breakAfter;
    this.#keep = keep;
  }

  get client(): ServiceClient<typeof ByteStreamDefinition> {
    return {
      write: async (requests: AsyncIterable<WriteRequest>) => {
        const breakAfter = this.#breakAfter[this.streams] ?? Number.POSITIVE_INFINITY;
        this.streams += 1;
        let taken = 0;
        for await (const { writeOffset, data, finishWrite } of requests) {
          expect(writeOffset).toBe(this.stored.length);
          this.stored = Buffer.concat([this.stored, data]);
          taken += data.length;
          this.finished = finishWrite;
          if (taken >= breakAfter) {
            this.stored = this.stored.subarray(0, this.#keep(this.stored.length));
            throw unavailable('broken');
          }
        }
        return { committedSize: this.stored.length };
      },
      queryWriteStatus: async () => ({ committedSize: this.stored.length, complete: this.finished }),
      read: () => {
        throw new Error('not asked for');
      },
    };
  }
}

function upload(source: AsyncIterable<Uint8Array>, server: FlakyServer): Promise<number> {
  return uploadResumably(source, {
    byteStream: server.client,
    resourceName: 'name',
    retry: RETRY,
    random: () => 0,
  });
}

describe('uploadResumably', () => {
  const bytes = sampleBytes(9_000_000);

  it('sends a stream once when nothing breaks', async () => {
    const server = new FlakyServer([]);
    expect(await upload(inPieces(bytes, 700_000), server)).toBe(9_000_000);
    expect(server.stored.equals(bytes)).toBe(true);
    expect([server.streams, server.finished]).toEqual([1, true]);
  });

  it('goes on where the server is, if that is among the last it sent', async () => {
    const server = new FlakyServer([1_000_000, 3_000_000, 5_000_000], (size) => size - 123_457);
    expect(await upload(inPieces(bytes, 250_000), server)).toBe(9_000_000);
    expect(server.stored.equals(bytes)).toBe(true);
    expect(server.streams).toBe(4);
  });

  it('gives up when the server has lost more of a stream than is remembered', async () => {
    const server = new FlakyServer([6_000_000], () => 0);
    await expect(upload(inPieces(bytes, 300_000), server)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'broken',
    });
  });

  it('begins a source that can be restarted anew, however much the server has lost', async () => {
    const source = restartableSource((offset) => inPieces(bytes.subarray(offset), 128_000));
    const server = new FlakyServer([8_000_000, 8_500_000], () => 0);
    expect(await upload(source, server)).toBe(9_000_000);
    expect(server.stored.equals(bytes)).toBe(true);
  });

  it('is done when the server turns out to have everything', async () => {
    const server = new FlakyServer([9_000_000]);
    server.finished = true;
    const client = {
      ...server.client,
      queryWriteStatus: async () => ({ committedSize: 9_000_000, complete: true }),
    };
    const done = uploadResumably(bytesOf(bytes), {
      byteStream: client,
      resourceName: 'name',
      retry: RETRY,
      random: () => 0,
    });
    expect(await done).toBe(9_000_000);
  });

  it('counts attempts only while it gets no further', async () => {
    const none = new FlakyServer(Array(10).fill(0), () => 0);
    await expect(upload(bytesOf(Buffer.from('x')), none)).rejects.toMatchObject({ message: 'broken' });
    expect(none.streams).toBe(3);
  });

  it('does not repeat what its source, or the server, refuses', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      throw unavailable('the source is away');
    }
    const server = new FlakyServer([]);
    await expect(upload(failing(), server)).rejects.toMatchObject({ message: 'the source is away' });
    expect(server.streams).toBe(1);
    const refusing = new FlakyServer([]);
    const client = {
      ...refusing.client,
      write: async () => {
        throw invalidArgument('no');
      },
    };
    const options = { byteStream: client, resourceName: 'name', retry: RETRY, random: () => 0 };
    await expect(uploadResumably(bytesOf(bytes), options)).rejects.toMatchObject({ message: 'no' });
  });

  it('loses no piece when an attempt ends while its source makes it wait', async () => {
    const gate = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('one ');
      await gate.promise;
      yield Buffer.from('two ');
      yield Buffer.from('three');
    }
    const server = new FlakyServer([4]);
    setTimeout(gate.resolve, 50);
    expect(await upload(slow(), server)).toBe(13);
    expect(server.stored.toString()).toBe('one two three');
  });

  it('ends with its signal', async () => {
    const controller = new AbortController();
    const server = new FlakyServer([0, 0, 0], () => 0);
    setTimeout(() => controller.abort(cancelled('enough')), 10);
    const options = { byteStream: server.client, resourceName: 'name', random: () => 1 };
    const retry = { attemptsMax: 9, firstBackoffMs: 60_000, backoffMsMax: 60_000 };
    await expect(
      uploadResumably(bytesOf(Buffer.from('x')), { ...options, retry, signal: controller.signal }),
    ).rejects.toMatchObject({ code: Code.CANCELLED, message: 'enough' });
  });
});
