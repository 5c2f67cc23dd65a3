import { describe, expect, it } from 'vitest';
import { verifiedBytes } from '../../../cache/blobs/verified-bytes.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { inPieces, sampleBlob } from '../bytes.ts';

async function read(source: AsyncIterable<Uint8Array>) {
  let mismatches = 0;
  const chunks: Uint8Array[] = [];
  let error: unknown;
  const { digest } = sampleBlob(100);
  try {
    const bytes = verifiedBytes(digest, source, () => {
      mismatches += 1;
    });
    for await (const chunk of bytes) chunks.push(chunk);
  } catch (thrown) {
    error = thrown;
  }
  return { bytes: Buffer.concat(chunks), error, mismatches };
}

describe('verifiedBytes', () => {
  const { bytes, digest } = sampleBlob(100);

  it('passes on the bytes of the digest', async () => {
    expect(await read(inPieces(bytes, 7))).toEqual({ bytes, error: undefined, mismatches: 0 });
  });

  const wrong = Buffer.from(bytes);
  wrong[0]! ^= 1;
  const cases: [string, Buffer, number, string][] = [
    ['other', wrong, 90, 'its bytes have the hash'],
    ['too few', bytes.subarray(0, 95), 95, 'it ends after 95 bytes'],
    ['too many', Buffer.concat([bytes, bytes]), 100, 'it has more than 100 bytes'],
  ];
  for (const [what, source, passed, why] of cases) {
    it(`never ends well with ${what} bytes`, async () => {
      const seen = await read(inPieces(source, 10));
      expect(seen.bytes.length).toBe(passed);
      expect(seen.error).toMatchObject({
        code: Code.DATA_LOSS,
        message: expect.stringContaining(`Read ${digest}: ${why}`),
      });
      expect(seen.mismatches).toBe(1);
    });
  }

  it('withholds a single wrong chunk whole', async () => {
    expect((await read(bytesOf(wrong))).bytes.length).toBe(0);
  });
});
