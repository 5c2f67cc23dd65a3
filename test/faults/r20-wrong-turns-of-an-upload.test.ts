import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { message, messages, OpenWrite } from '../cache/open-write.ts';
import { rejection } from '../setup/rejection.ts';
import { fault, type Saw } from './fault.ts';
import { sharedServer } from './shared-server.ts';

const cache = sharedServer();
const byteStream = () => cache().channel.client(ByteStreamDefinition);
let seed = 20_000;

function upload(sizeBytes: number) {
  seed += 1;
  const blob = sampleBlob(sizeBytes, seed);
  return { ...blob, resourceName: `uploads/${randomUUID()}/blobs/${blob.digest}` };
}
type Upload = ReturnType<typeof upload>;

/** A correct stream goes on from what QueryWriteStatus says, and the blob is right. */
async function expectMended({ bytes, digest, resourceName }: Upload, saw: Saw): Promise<void> {
  const { committedSize } = await byteStream().queryWriteStatus({ resourceName });
  const rest = message(resourceName, committedSize, bytes.subarray(committedSize), true);
  expect(await byteStream().write(messages(rest))).toEqual({ committedSize: bytes.length });
  expect((await readAll(cache().blobs, digest))?.equals(bytes)).toBe(true);
  saw(`a right stream went on at ${committedSize} of ${bytes.length}, and the blob is right`);
}

/** A small blob lies in a segment, a large one in a file. */
for (const sizeBytes of [10_000, 3_000_000]) {
  const third = Math.floor(sizeBytes / 3);

  for (const [what, offset, code] of [
    ['a gap', third + 1, Code.OUT_OF_RANGE],
    ['a rewind', third - 1, Code.INVALID_ARGUMENT],
    ['a negative offset', -1, Code.INVALID_ARGUMENT],
  ] as const) {
    fault('R20', `${what} in an upload of ${sizeBytes} bytes`, async (saw) => {
      const wrong = upload(sizeBytes);
      const { bytes, digest, resourceName } = wrong;
      const error = await rejection(
        byteStream().write(
          messages(
            message(resourceName, 0, bytes.subarray(0, third)),
            message('', offset, bytes.subarray(third)),
          ),
        ),
      );
      expect([error.code, error.message]).toEqual([
        code,
        `Write ${digest}: offset ${offset} where ${third} bytes have arrived`,
      ]);
      saw(`${codeToJSON(error.code)}: ${error.message}`);
      expect(await cache().blobs.findMissing([digest])).toEqual([digest]);
      await expectMended(wrong, saw);
    });
  }

  fault('R20', `a resource name that changes in an upload of ${sizeBytes} bytes`, async (saw) => {
    const wrong = upload(sizeBytes);
    const { bytes, resourceName } = wrong;
    const other = upload(sizeBytes);
    const error = await rejection(
      byteStream().write(
        messages(
          message(resourceName, 0, bytes.subarray(0, third)),
          message(other.resourceName, third, bytes.subarray(third), true),
        ),
      ),
    );
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    expect(error.message).toContain('the resource name changed to');
    saw(`${codeToJSON(error.code)}: ${error.message.slice(-140)}`);
    expect(await cache().blobs.findMissing([other.digest])).toEqual([other.digest]);
    await expectMended(wrong, saw);
  });

  fault('R20', `two streams on one upload of ${sizeBytes} bytes`, async (saw) => {
    const shared = upload(sizeBytes);
    const { bytes, digest, resourceName } = shared;
    const older = new OpenWrite(byteStream());
    older.send(message(resourceName, 0, bytes.subarray(0, third)));
    await expect
      .poll(async () => (await byteStream().queryWriteStatus({ resourceName })).committedSize, {
        timeout: 10_000,
      })
      .toBe(third);
    const newer = new OpenWrite(byteStream());
    newer.send(message(resourceName, third, bytes.subarray(third, 2 * third)));
    const error = await rejection(older.response);
    expect([error.code, error.message]).toEqual([
      Code.ABORTED,
      `Write ${digest}: another stream has taken the upload over`,
    ]);
    saw(`the older: ${codeToJSON(error.code)}: ${error.message}`);
    newer.send(message(resourceName, 2 * third, bytes.subarray(2 * third), true));
    expect(await newer.response).toEqual({ committedSize: sizeBytes });
    expect((await readAll(cache().blobs, digest))?.equals(bytes)).toBe(true);
  });
}

fault('R20', 'a message after finish_write', async (saw) => {
  const { bytes, digest, resourceName } = upload(9_000_000);
  const pieces = [0, 3_000_000, 6_000_000].map((start) =>
    message(resourceName, start, bytes.subarray(start, start + 3_000_000), start === 6_000_000),
  );
  const outcome = await byteStream()
    .write(messages(...pieces, message(resourceName, 9_000_000, Buffer.from('more'))))
    .catch((error: unknown) => error);
  // The blob may be stored before the message is seen; then the upload has simply succeeded.
  if (outcome instanceof Error) {
    expect(outcome).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: a message came after finish_write`,
    });
  }
  const stored = await readAll(cache().blobs, digest);
  expect(stored === undefined || stored.equals(bytes)).toBe(true);
  saw(outcome instanceof Error ? outcome.message : 'stored before the message was seen, and right');
});
