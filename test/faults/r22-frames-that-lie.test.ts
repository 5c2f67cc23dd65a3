import { randomUUID } from 'node:crypto';
import { createZstdCompress } from 'node:zlib';
import { afterAll, beforeAll, expect } from 'vitest';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import { ByteStreamDefinition, type WriteRequest } from '../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { compressibleBlob, zstdFrame } from '../cache/compression/zstd-samples.ts';
import { message } from '../cache/open-write.ts';
import { rejection } from '../setup/rejection.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault, type Saw } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

const MIB = 1024 ** 2;
/** What each blob says that it has. */
const SIZE = 4 * MIB;
const GROWTH_BYTES_MAX = 64 * MIB;

let data: AsyncDisposable & { readonly path: string };
let cache: ServerUnderFault;
let client: ServiceClient<typeof ByteStreamDefinition>;
let seed = 22_000;

beforeAll(async () => {
  data = await tempFolder();
  cache = await ServerUnderFault.start(data.path);
  client = cache.channel.client(ByteStreamDefinition);
  // What the first upload costs belongs to the process, not to the fault.
  const { bytes, uploadName } = blob();
  await client.write(sent(uploadName, [zstdFrame(bytes)]));
});
afterAll(async () => {
  await cache?.[Symbol.asyncDispose]();
  await data?.[Symbol.asyncDispose]();
});

function blob() {
  seed += 2;
  const { bytes, digest } = compressibleBlob(SIZE, seed);
  return { bytes, digest, uploadName: `uploads/${randomUUID()}/compressed-blobs/zstd/${digest}` };
}

async function* sent(
  name: string,
  frame: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<WriteRequest> {
  let offset = 0;
  for await (const piece of frame) {
    for (let at = 0; at < piece.byteLength; at += MIB) {
      const data = piece.subarray(at, at + MIB);
      yield message(offset === 0 ? name : '', offset, data);
      offset += data.byteLength;
    }
  }
  yield message(offset === 0 ? name : '', offset, undefined, true);
}

async function expectRefused(
  frame: (bytes: Buffer) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  why: RegExp,
  saw: Saw,
): Promise<void> {
  const { bytes, digest, uploadName } = blob();
  const beforeBytes = await cache.peakBytes();
  const error = await rejection(client.write(sent(uploadName, frame(bytes))));
  const grownBytes = (await cache.peakBytes()) - beforeBytes;
  expect(error).toMatchObject({ code: Code.INVALID_ARGUMENT, message: expect.stringMatching(why) });
  expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
  expect(await cache.blobs.findMissing([digest])).toHaveLength(1);
  saw(`${error.message.replace(/^Write \S+: /, '')}; memory grew by ${Math.round(grownBytes / MIB)} MiB`);
}

/** Ten GiB of zeros in about a MiB, and no word of it in the header. */
function bomb(): AsyncIterable<Uint8Array> {
  const encoder = createZstdCompress();
  const zeros = Buffer.alloc(MIB);
  let written = 0;
  const feed = (): void => {
    while (written < 10 * 1024) {
      written += 1;
      if (!encoder.write(zeros)) {
        encoder.once('drain', feed);
        return;
      }
    }
    encoder.end();
  };
  feed();
  return encoder;
}

function* withoutEnd(): Generator<Uint8Array> {
  yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x38]);
  for (;;) yield Buffer.alloc(64 * 1024);
}

fault('R22', 'a bomb of 10 GiB in a frame of a MiB', (saw) =>
  expectRefused(bomb, /: more than 4194304 bytes arrived$/, saw),
);
fault('R22', 'a frame that never ends', (saw) =>
  expectRefused(withoutEnd, /more than \d+ bytes(?: arrived|, for a blob of 4194304)$/, saw),
);
fault('R22', 'a frame that is cut off', (saw) =>
  expectRefused((bytes) => [zstdFrame(bytes).subarray(0, -7)], /it is cut off after \d+ bytes$/, saw),
);
fault('R22', 'two frames', (saw) =>
  expectRefused((bytes) => [zstdFrame(bytes), zstdFrame(bytes)], /something follows its end$/, saw),
);
fault('R22', 'junk behind a frame', (saw) =>
  expectRefused((bytes) => [zstdFrame(bytes), Buffer.from('junk')], /something follows its end$/, saw),
);
fault('R22', 'a skippable frame', (saw) =>
  expectRefused(
    (bytes) => [Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0]), zstdFrame(bytes)],
    /it begins with a skippable frame$/,
    saw,
  ),
);
fault('R22', 'a window of 2^31', (saw) =>
  expectRefused(
    () => [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3, 1, 0, 0])],
    /its window has 2147483648 bytes, at most 8388608 are accepted$/,
    saw,
  ),
);
