import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import {
  ContentAddressableStorageDefinition,
  type Directory,
  type GetTreeRequest,
  type GetTreeResponse,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { directory, encoded, store, storeDirectory } from '../directories.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let client: ServiceClient<typeof ContentAddressableStorageDefinition>;
let seed = 20_000;

beforeAll(async () => {
  server = await openCacheServer();
  client = server.channel.client(ContentAddressableStorageDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function fresh(sizeBytes: number) {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

function update(blob: { readonly bytes: Uint8Array; readonly digest: Digest }, compressor: 0 | 1 | 2 = 0) {
  return { digest: blob.digest.toMessage(), data: Buffer.from(blob.bytes), compressor };
}

const base = { instanceName: '', digestFunction: 0 as const };

describe('FindMissingBlobs', () => {
  it('names what is absent, once', async () => {
    const present = fresh(10);
    const absent = fresh(10);
    await store(server.blobStore, present.bytes);
    const blobDigests = [present, absent, absent].map(({ digest }) => digest.toMessage());
    const { missingBlobDigests } = await client.findMissingBlobs({ ...base, blobDigests });
    expect(missingBlobDigests).toEqual([absent.digest.toMessage()]);
  });

  it('says which digest is malformed', async () => {
    const good = fresh(10).digest.toMessage();
    const { hash } = fresh(10).digest;
    const lies: [string, number, string][] = [
      [hash.toUpperCase(), 10, 'digest hash is not lower-case hexadecimal'],
      [
        hash.slice(1),
        10,
        'digest hash has 63 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
      ],
      [
        `${hash}0`,
        10,
        'digest hash has 65 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
      ],
      [hash, -1, 'digest size is -1 bytes, expected 0 to 9007199254740991'],
      [hash, 0, `digest ${hash}/0 is impossible: only the empty blob has size 0 and its hash`],
    ];
    for (const [lie, sizeBytes, why] of lies) {
      const blobDigests = [good, { hash: lie, sizeBytes }];
      await expect(client.findMissingBlobs({ ...base, blobDigests })).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `FindMissingBlobs: digest 1: ${why}`,
      });
    }
  });

  it('refuses an instance name that is none', async () => {
    for (const instanceName of ['../x', 'a//b', 'blobs', 'x'.repeat(10_240)]) {
      await expect(client.findMissingBlobs({ ...base, instanceName, blobDigests: [] })).rejects.toMatchObject(
        { code: Code.INVALID_ARGUMENT },
      );
    }
  });

  it('answers 10,000 digests without holding up others', async () => {
    const blobDigests = Array.from({ length: 10_000 }, (_, index) => ({
      hash: index.toString(16).padStart(64, '0'),
      sizeBytes: 1,
    }));
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns += 1;
      if (counting) setImmediate(count);
    };
    count();
    const { missingBlobDigests } = await client.findMissingBlobs({ ...base, blobDigests });
    counting = false;
    expect(missingBlobDigests).toHaveLength(10_000);
    expect(turns).toBeGreaterThan(4);
  });
});

describe('BatchUpdateBlobs', () => {
  it('stores each blob for itself', async () => {
    const good = fresh(100);
    const twice = fresh(50);
    const wrong = { bytes: fresh(60).bytes, digest: fresh(60).digest };
    const requests = [good, wrong, twice, twice].map((blob) => update(blob));
    requests.push(update(fresh(5), 2), { digest: undefined as never, data: Buffer.from('x'), compressor: 0 });
    const { responses } = await client.batchUpdateBlobs({ ...base, requests });
    expect(responses.map(({ status }) => status?.code)).toEqual([
      Code.OK,
      Code.INVALID_ARGUMENT,
      Code.OK,
      Code.OK,
      Code.UNIMPLEMENTED,
      Code.INVALID_ARGUMENT,
    ]);
    expect(responses.map(({ status }) => status?.message).slice(4)).toEqual([
      `Write ${requests[4]?.digest.hash}/5: compressor DEFLATE is not announced`,
      'digest is missing',
    ]);
    expect(responses.map(({ digest }) => digest)).toEqual(requests.map(({ digest }) => digest));
    expect((await readAll(server.blobStore, good.digest))?.equals(good.bytes)).toBe(true);
    expect(await server.blobStore.findMissing([wrong.digest])).toEqual([wrong.digest]);
  });

  it('stores 999 of 1000 when one is bad', async () => {
    const blobs = Array.from({ length: 1000 }, () => fresh(100));
    const requests = blobs.map((blob) => update(blob));
    requests[500] = { ...requests[500]!, data: Buffer.from('bad') };
    const { responses } = await client.batchUpdateBlobs({ ...base, requests });
    expect(responses.filter(({ status }) => status?.code === Code.OK)).toHaveLength(999);
    expect(responses[500]?.status?.code).toBe(Code.INVALID_ARGUMENT);
    expect(await server.blobStore.findMissing(blobs.map(({ digest }) => digest))).toEqual([
      blobs[500]?.digest,
    ]);
  });

  it('refuses a batch over the announced size as a whole', async () => {
    const blobs = [fresh(2_000_000), fresh(1_700_000)];
    await expect(
      client.batchUpdateBlobs({ ...base, requests: blobs.map((blob) => update(blob)) }),
    ).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'BatchUpdateBlobs: 3700000 bytes in all blobs, at most 3670016 are accepted',
    });
    const digests = blobs.map(({ digest }) => digest);
    expect(await server.blobStore.findMissing(digests)).toEqual(digests);
  });

  it('leaves a message over the transport limit to the transport', async () => {
    const blob = fresh(4 * 1024 * 1024 + 1);
    await expect(
      client.batchUpdateBlobs({ ...base, requests: [update(blob)] }, { retry: false }),
    ).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
  });
});

describe('BatchReadBlobs', () => {
  it('reads each blob for itself', async () => {
    const present = fresh(1000);
    const absent = fresh(10);
    await store(server.blobStore, present.bytes);
    const digests = [present, absent, present].map(({ digest }) => digest.toMessage());
    digests.push({ hash: 'nonsense', sizeBytes: 3 });
    const { responses } = await client.batchReadBlobs({ ...base, digests, acceptableCompressors: [] });
    expect(responses.map(({ status }) => [status?.code, status?.message])).toEqual([
      [Code.OK, ''],
      [Code.NOT_FOUND, `blob ${absent.digest} is not here`],
      [Code.OK, ''],
      [
        Code.INVALID_ARGUMENT,
        'digest hash has 8 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
      ],
    ]);
    expect(present.bytes.equals(responses[2]!.data)).toBe(true);
  });

  it('refuses what would make too large an answer', async () => {
    const large = Digest.of('a'.repeat(64), 3_670_017).toMessage();
    await expect(
      client.batchReadBlobs({ ...base, digests: [large], acceptableCompressors: [] }),
    ).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'BatchReadBlobs: 3670017 bytes in all blobs, at most 3670016 are given',
    });
    const small = Array(45_000).fill(Digest.of('a'.repeat(64), 1).toMessage());
    await expect(
      client.batchReadBlobs({ ...base, digests: small, acceptableCompressors: [] }),
    ).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'BatchReadBlobs: 45000 digests with 45000 bytes would make an answer of over 4128768 bytes',
    });
  });
});

describe('GetTree', () => {
  async function collect(request: Partial<GetTreeRequest>): Promise<GetTreeResponse[]> {
    const full = { ...base, rootDigest: undefined, pageSize: 0, pageToken: '', ...request };
    return Array.fromAsync(client.getTree(full));
  }

  async function manyDirectories(): Promise<{ root: Digest; all: Directory[] }> {
    const file = fresh(5).digest;
    const children = Array.from({ length: 20 }, (_, index) => directory({ [`file${index}`]: file }));
    const nodes: Record<string, Digest> = {};
    for (const [index, child] of children.entries()) {
      nodes[`d${100 + index}`] = await storeDirectory(server.blobStore, child);
    }
    nodes.d200 = fresh(40).digest;
    const root = directory({}, nodes);
    return { root: await storeDirectory(server.blobStore, root), all: [root, ...children] };
  }

  it('gives all directories but those absent', async () => {
    const { root, all } = await manyDirectories();
    expect(await collect({ rootDigest: root.toMessage() })).toEqual([
      { directories: all, nextPageToken: '' },
    ]);
  });

  it('gives pages, and goes on behind any of them', async () => {
    const { root, all } = await manyDirectories();
    const rootDigest = root.toMessage();
    const pages = await collect({ rootDigest, pageSize: 6 });
    expect(pages.map(({ directories }) => directories.length)).toEqual([6, 6, 6, 3]);
    expect(pages.flatMap(({ directories }) => directories)).toEqual(all);
    expect(pages.at(-1)?.nextPageToken).toBe('');
    for (const [index, { nextPageToken: pageToken }] of pages.slice(0, -1).entries()) {
      const rest = await collect({ rootDigest, pageToken });
      expect(rest.flatMap(({ directories }) => directories)).toEqual(all.slice(6 * (index + 1)));
    }
  });

  it('refuses page tokens and sizes that make no sense', async () => {
    const { root } = await manyDirectories();
    const rootDigest = root.toMessage();
    for (const pageToken of ['x', `0-${root.hash}`, `5-${'0'.repeat(64)}`]) {
      await expect(collect({ rootDigest, pageToken })).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `page_token is none that was given for directory ${root}`,
      });
    }
    await expect(collect({ rootDigest, pageSize: -1 })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'page_size is -1, expected 0 or more',
    });
  });

  it('answers NOT_FOUND for an absent root, and INVALID_ARGUMENT for none', async () => {
    const { digest } = encoded(directory({ a: fresh(3).digest }));
    await expect(collect({ rootDigest: digest.toMessage() })).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `directory ${digest} is not here`,
    });
    await expect(collect({})).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'digest is missing',
    });
  });
});
