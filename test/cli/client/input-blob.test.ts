import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isRestartable, type RestartableSource } from '../../../cache/remote/restartable-source.ts';
import { readInputBlob } from '../../../cli/client/input-blob.ts';
import { Digest } from '../../../core/digest.ts';
import { collectBytes } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../temp-folder.ts';

function fileSource(bytes: Uint8Array, digest = Digest.ofBytes(bytes)): RestartableSource {
  const path = join(tempFolder(), 'f');
  writeFileSync(path, bytes);
  const source = readInputBlob({ digest, path });
  if (!isRestartable(source)) throw new Error('it cannot be restarted');
  return source;
}

describe('readInputBlob', () => {
  it.each([1, 1000, 262_144, 262_145, 1_000_000])(
    'reads a file of %i bytes from any offset',
    async (size) => {
      const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
      const source = fileSource(bytes);
      for (const offset of [0, 1, size >> 1, size - 1, size]) {
        const read = await collectBytes(source.restart(offset), { bytesMax: size, what: 'blob' });
        expect(read.equals(bytes.subarray(offset))).toBe(true);
      }
    },
  );

  it('withholds the end of a file that changed, wherever its upload is taken up', async () => {
    const bytes = Buffer.alloc(1_000_000, 'b');
    const digest = Digest.ofBytes(Buffer.alloc(1_000_000, 'a'));
    const source = fileSource(bytes, digest);
    for (const offset of [0, 999_999]) {
      let read = 0;
      const reading = (async () => {
        for await (const chunk of source.restart(offset)) read += chunk.byteLength;
      })();
      await expect(reading).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
      expect(read).toBeLessThan(bytes.length - offset);
    }
  });
});
