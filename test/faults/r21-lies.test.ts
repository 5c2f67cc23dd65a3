import { request } from 'node:http';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import { BatchUpdateBlobsResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { wireMessage } from '../setup/raw-grpc.ts';
import { WatchedFarm } from '../setup/watched-farm.ts';

let farm: WatchedFarm;

beforeAll(async () => {
  farm = await WatchedFarm.start();
});
beforeEach(() => farm.beginWatch());
afterAll(() => farm?.[Symbol.asyncDispose]());

const BYTES = Buffer.from('bytes that are as they are');
const TRUE = Digest.ofBytes(BYTES);
const OTHER = Digest.ofBytes(Buffer.from('others of another length'));
const SAME_LENGTH = Digest.ofBytes(Buffer.from(BYTES).fill('x'));
const EMPTY_HASH = Digest.ofBytes(Buffer.alloc(0)).hash;
/** What is said of a number that JavaScript has no exact place for, before anyone looks at what it is for. */
const NO_MESSAGE = 'of a request are not of its message type';
const NO_NUMBER = 'is not a size in bytes';
const NOT_HEX = 'digest hash is not lower-case hexadecimal';
const IMPOSSIBLE = 'is impossible: only the empty blob has size 0 and its hash';

interface WireDigest {
  readonly hash: string;
  readonly sizeBytes: bigint;
}
const wire = (hash: string, sizeBytes: number | bigint): WireDigest => ({
  hash,
  sizeBytes: BigInt(sizeBytes),
});

/** A message of length-delimited fields, for what the codecs do not let through. */
function message(...fields: readonly (readonly [number: number, value: Uint8Array | string])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) writer.uint32((number << 3) | 2).bytes(Buffer.from(value));
  return writer.finish();
}

function digestMessage({ hash, sizeBytes }: WireDigest): Uint8Array {
  const writer = new BinaryWriter().uint32((1 << 3) | 2).string(hash);
  return writer
    .uint32(2 << 3)
    .int64(sizeBytes)
    .finish();
}

/** Field number in WriteRequest. */
const FINISH_WRITE = 3;
const REAPI = '/build.bazel.remote.execution.v2';
const UPLOAD = 'uploads/6b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f';

describe('a digest that can be no digest', () => {
  afterEach(() => farm.expectUntouched());

  describe.each([
    [
      'a size of -1',
      wire(TRUE.hash, -1),
      'digest size is -1 bytes, expected 0 to 9007199254740991',
      NO_NUMBER,
    ],
    ['a size of 2^63 - 1', wire(TRUE.hash, 2n ** 63n - 1n), NO_MESSAGE, NO_NUMBER],
    ['a size of 2^53', wire(TRUE.hash, 2n ** 53n), NO_MESSAGE, 'digest size is 9007199254740992 bytes'],
    ['a hash in upper case', wire(TRUE.hash.toUpperCase(), 26), NOT_HEX, NOT_HEX],
    ['a hash of 63 digits', wire(TRUE.hash.slice(1), 26), 'has 63 characters', 'has 63 characters'],
    ['a hash of 65 digits', wire(`${TRUE.hash}0`, 26), 'has 65 characters', 'has 65 characters'],
    ['a path for a hash', wire('../'.repeat(21).padEnd(64, 'x'), 26), NOT_HEX, 'blobs'],
    ['size 0 and the hash of something', wire(TRUE.hash, 0), IMPOSSIBLE, IMPOSSIBLE],
    ['the hash of nothing and a size', wire(EMPTY_HASH, 26), IMPOSSIBLE, IMPOSSIBLE],
  ])('with %s', (_, lie, why, whyInName) => {
    const digest = digestMessage(lie);

    // Field numbers are those of remote_execution.proto.
    it.each([
      ['ContentAddressableStorage/FindMissingBlobs', message([2, digest])],
      ['ContentAddressableStorage/GetTree', message([2, digest])],
      ['ActionCache/GetActionResult', message([2, digest])],
      ['ActionCache/UpdateActionResult', message([2, digest], [3, ''])],
      [
        'ActionCache/UpdateActionResult',
        message([2, digestMessage(wire(TRUE.hash, 26))], [3, message([2, message([1, 'out'], [2, digest])])]),
      ],
      ['Execution/Execute', message([6, digest])],
    ])('is refused by %s', async (method, body) => {
      const answer = await farm.raw.call(`${REAPI}.${method}`, wireMessage(body));
      expect(answer.grpcStatus).toBe(String(Code.INVALID_ARGUMENT));
      expect(answer.message).toContain(why);
    });

    it.each([
      ['BatchUpdateBlobs', message([2, message([1, digest], [2, BYTES])])],
      ['BatchReadBlobs', message([2, digest])],
    ])('is refused by %s, by itself where the message can be read', async (method, body) => {
      const answer = await farm.raw.call(`${REAPI}.ContentAddressableStorage/${method}`, wireMessage(body));
      const said = why === NO_MESSAGE ? answer.message : answer.body.toString('latin1');
      expect(answer.grpcStatus).toBe(String(why === NO_MESSAGE ? Code.INVALID_ARGUMENT : Code.OK));
      expect(said).toContain(why);
    });

    it.each([
      ['Read', 1, ''],
      ['Write', 1, `${UPLOAD}/`],
      ['QueryWriteStatus', 1, `${UPLOAD}/`],
    ])('is refused by ByteStream/%s', async (method, field, prefix) => {
      const name = `${prefix}blobs/${lie.hash}/${lie.sizeBytes}`;
      const body = method === 'Write' ? message([field, name], [10, BYTES]) : message([field, name]);
      const answer = await farm.raw.call(`/google.bytestream.ByteStream/${method}`, wireMessage(body));
      expect(answer.grpcStatus).toBe(String(Code.INVALID_ARGUMENT));
      expect(answer.message).toContain(whyInName);
    });
  });

  it.each([
    ['uploads/no-uuid/blobs', 'is not a UUID'],
    ['../uploads/6b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f/blobs', 'it has .. as a segment'],
    [`${UPLOAD}/../blobs`, ''],
    ['/uploads/6b8cd1c4-0d1c-4d8a-8f6e-0b1a2c3d4e5f/blobs', ''],
  ])('an upload by the name %s is refused', async (prefix, why) => {
    const body = message([1, `${prefix}/${TRUE}`], [10, BYTES]);
    const answer = await farm.raw.call('/google.bytestream.ByteStream/Write', wireMessage(body));
    expect(answer.grpcStatus).toBe(String(Code.INVALID_ARGUMENT));
    expect(answer.message).toContain(why);
  });

  it.each([
    '/cas/../../outside',
    '/cas/..%2f..%2foutside',
    `/../cas/${TRUE.hash}`,
    `/cas/${TRUE.hash.toUpperCase()}`,
    `/cas/${TRUE.hash.slice(1)}`,
    `/cas/${TRUE.hash}/x`,
    `/ac/${TRUE.hash}0`,
  ])('a PUT of %s is refused', async (path) => {
    expect(await put(path, BYTES)).toBeOneOf([400, 404]);
  });
});

/** PUT with the path as it is: fetch would take out what leads upwards. */
function put(path: string, body: Buffer): Promise<number | undefined> {
  const [host, port] = farm.http.split(':');
  return new Promise((resolve, reject) => {
    const call = request({ method: 'PUT', host, port, path }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    });
    call.on('error', reject).end(body);
  });
}

describe('bytes that are not those of their digest', () => {
  afterEach(() => farm.expectUnchanged());

  const lies = [
    ['a byte less', Digest.of(TRUE.hash, 27), `the bytes that arrived are ${TRUE}`],
    ['a byte more', Digest.of(TRUE.hash, 25), 'more than 25 bytes arrived'],
    ['others', OTHER, 'more than 24 bytes arrived'],
    ['others of that length', SAME_LENGTH, `the bytes that arrived are ${TRUE}`],
    ['something for nothing', Digest.of(EMPTY_HASH, 0), 'more than 0 bytes arrived'],
  ] as const;

  it.each(lies)('are refused in a batch: %s', async (_, digest, why) => {
    const body = message([2, message([1, digestMessage(wire(digest.hash, digest.sizeBytes))], [2, BYTES])]);
    const path = `${REAPI}.ContentAddressableStorage/BatchUpdateBlobs`;
    const answer = await farm.raw.call(path, wireMessage(body));
    expect(answer.grpcStatus).toBe(String(Code.OK));
    const { responses } = BatchUpdateBlobsResponse.decode(answer.body.subarray(5));
    const status = { code: Code.INVALID_ARGUMENT, message: `Write ${digest}: ${why}` };
    expect(responses).toMatchObject([{ digest: digest.toMessage(), status }]);
  });

  it.each(lies)('are refused in a stream: %s', async (_, digest, why) => {
    const finish = new BinaryWriter().uint32(FINISH_WRITE << 3).bool(true);
    const name = `${UPLOAD}/blobs/${digest}`;
    const body = Buffer.concat([message([1, name]), finish.finish(), message([10, BYTES])]);
    const answer = await farm.raw.call('/google.bytestream.ByteStream/Write', wireMessage(body));
    expect(answer).toMatchObject({
      grpcStatus: String(Code.INVALID_ARGUMENT),
      message: `Write ${digest}: ${why}`,
    });
  });

  // A PUT says no size: only another hash is a lie.
  it.each([OTHER.hash, SAME_LENGTH.hash, EMPTY_HASH])('are refused over HTTP at /cas/%s', async (hash) => {
    expect(await put(`/cas/${hash}`, BYTES)).toBe(400);
  });
});

it('what is as it says is taken, and that is seen', async () => {
  await farm.connection.blobStore.write(TRUE, bytesOf(BYTES));
  expect(await farm.connection.blobStore.findMissing([TRUE])).toEqual([]);
  expect(await farm.added()).toEqual([expect.stringMatching(/\/segments-v1\/\d+\.seg: \d+ bytes$/)]);
  expect(farm.touched()).toContain(farm.data('cache', 'segments-v1'));
});
