import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { message, messages } from '../cache/open-write.ts';
import { fault } from './fault.ts';
import { sharedServer } from './shared-server.ts';

const UPLOADS = 1000;
const PIECES = 5;
/** One takes bytes, one more in case the first is slow, and another for each time that both stood still for two seconds. */
const STAGED_MAX = 4;
const PEAK_BYTES_MAX = 600 * 1024 * 1024;

const cache = sharedServer();

for (const [index, sizeBytes] of [20_000, 2_000_000].entries()) {
  fault('R19', `a thousand uploads of one blob of ${sizeBytes} bytes at once`, async (saw) => {
    const { bytes, digest } = sampleBlob(sizeBytes, 19_000 + index);
    const client = cache().channel.client(ByteStreamDefinition);
    let staged = 0;
    const watch = setInterval(async () => {
      staged = Math.max(staged, (await readdir(cache().folder('incoming'))).length);
    }, 5);
    const startedMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: UPLOADS }, () => {
        const resourceName = `uploads/${randomUUID()}/blobs/${digest}`;
        const piece = sizeBytes / PIECES;
        const pieces = Array.from({ length: PIECES }, (_, at) =>
          message(resourceName, at * piece, bytes.subarray(at * piece, (at + 1) * piece), at === PIECES - 1),
        );
        return client.write(messages(...pieces));
      }),
    );
    const ms = performance.now() - startedMs;
    clearInterval(watch);
    expect(new Set(answers.map(({ committedSize }) => committedSize))).toEqual(new Set([sizeBytes]));
    expect(staged).toBeLessThanOrEqual(STAGED_MAX);
    expect((await readAll(cache().blobs, digest))?.equals(bytes)).toBe(true);
    expect(await readdir(cache().folder('incoming'))).toEqual([]);
    const peakBytes = await cache().peakBytes();
    expect(peakBytes).toBeLessThan(PEAK_BYTES_MAX);
    saw(
      `${answers.length} answers in ${ms.toFixed(0)} ms, at most ${staged} files staged, peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
    );
  });
}
