import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Digest, digestFunctionName, digestFunctions } from '../../../core/digest.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import {
  ActionCacheDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  DigestFunction_Value,
  Directory,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ByteStreamDefinition } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { directory } from '../directories.ts';
import { message, messages } from '../open-write.ts';
import { outputDirectory, outputFiles, result, shown } from '../results.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let cas: ServiceClient<typeof ContentAddressableStorageDefinition>;
let byteStream: ServiceClient<typeof ByteStreamDefinition>;
let actionCache: ServiceClient<typeof ActionCacheDefinition>;

beforeAll(async () => {
  server = await openCacheServer();
  cas = server.channel.client(ContentAddressableStorageDefinition);
  byteStream = server.channel.client(ByteStreamDefinition);
  actionCache = server.channel.client(ActionCacheDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const { SHA256, BLAKE3, SHA1, SHA384, SHA512, MD5 } = DigestFunction_Value;
const named = digestFunctions.map((value) => [digestFunctionName(value), value] as const);

/** As REAPI has it in resource names: BLAKE3 has to be said, the others must not be. */
function blobName(digest: Digest): string {
  return digest.digestFunction === BLAKE3 ? `blobs/blake3/${digest}` : `blobs/${digest}`;
}

function write(digest: Digest, bytes: Buffer) {
  const resourceName = `uploads/${randomUUID()}/${blobName(digest)}`;
  return byteStream.write(messages(message(resourceName, 0, bytes, true)));
}

async function read(digest: Digest): Promise<Buffer> {
  const request = { resourceName: blobName(digest), readOffset: 0, readLimit: 0 };
  return Buffer.concat((await Array.fromAsync(byteStream.read(request))).map(({ data }) => data));
}

async function missing(digests: readonly Digest[], digestFunction: DigestFunction_Value): Promise<string[]> {
  const blobDigests = digests.map((digest) => digest.toMessage());
  const answer = await cas.findMissingBlobs({ instanceName: '', blobDigests, digestFunction });
  return answer.missingBlobDigests.map(({ hash, sizeBytes }) => `${hash}/${sizeBytes}`);
}

it('announces SHA256, BLAKE3, SHA1, SHA384, SHA512 and MD5', async () => {
  const { cacheCapabilities } = await server.channel
    .client(CapabilitiesDefinition)
    .getCapabilities({ instanceName: '' });
  expect(cacheCapabilities?.digestFunctions).toEqual([SHA256, BLAKE3, SHA1, SHA384, SHA512, MD5]);
});

describe.each(named)('%s', (name, digestFunction) => {
  const bytes = (what: string, sizeBytes = 1000) =>
    Buffer.concat([Buffer.from(`${what} ${name} `), sampleBytes(sizeBytes)]);
  const blob = (what: string, sizeBytes?: number) => {
    const made = bytes(what, sizeBytes);
    return { bytes: made, digest: Digest.ofBytes(made, digestFunction) };
  };

  it.each([1000, 3_000_000])('goes up and down by ByteStream, %i bytes', async (sizeBytes) => {
    const sent = blob('stream', sizeBytes);
    expect(await missing([sent.digest], digestFunction)).toEqual([String(sent.digest)]);
    expect(await write(sent.digest, sent.bytes)).toEqual({ committedSize: sent.bytes.length });
    expect((await read(sent.digest)).equals(sent.bytes)).toBe(true);
    expect(await missing([sent.digest], digestFunction)).toEqual([]);
    const resourceName = `uploads/${randomUUID()}/${blobName(sent.digest)}`;
    expect(await byteStream.queryWriteStatus({ resourceName })).toEqual({
      committedSize: sent.bytes.length,
      complete: true,
    });
  });

  it('goes up and down in batches, and refuses bytes of another hash', async () => {
    const [good, other] = [blob('batch'), blob('other batch')];
    const requests = [
      { digest: good.digest.toMessage(), data: good.bytes, compressor: 0 as const },
      { digest: other.digest.toMessage(), data: Buffer.alloc(other.bytes.length), compressor: 0 as const },
    ];
    const updated = await cas.batchUpdateBlobs({ instanceName: '', requests, digestFunction });
    expect(updated.responses.map(({ status }) => status?.code)).toEqual([Code.OK, Code.INVALID_ARGUMENT]);
    const digests = [good.digest.toMessage(), other.digest.toMessage()];
    const answer = await cas.batchReadBlobs({
      instanceName: '',
      digests,
      acceptableCompressors: [],
      digestFunction,
    });
    expect(answer.responses.map(({ status }) => status?.code)).toEqual([Code.OK, Code.NOT_FOUND]);
    expect(answer.responses.map(({ digest }) => digest)).toEqual(digests);
    expect(good.bytes.equals(answer.responses[0]!.data)).toBe(true);
  });

  it('names results, what they need and what is in their trees', async () => {
    const [file, inTree, action] = [blob('file'), blob('file in a tree'), blob('action')];
    const root = Buffer.from(Directory.encode(directory({ inTree: inTree.digest })).finish());
    const rootDigest = Digest.ofBytes(root, digestFunction);
    for (const { digest, bytes: sent } of [file, inTree, { digest: rootDigest, bytes: root }]) {
      await write(digest, sent);
    }
    const made = result({
      outputFiles: outputFiles({ out: file.digest }),
      outputDirectories: [outputDirectory('d', { root: rootDigest })],
    });
    const key = { instanceName: '', actionDigest: action.digest.toMessage(), digestFunction };
    const update = { ...key, actionResult: made, resultsCachePolicy: undefined };
    await actionCache.updateActionResult(update);
    const hints = { inlineStdout: false, inlineStderr: false, inlineOutputFiles: [] as string[] };
    for (let time = 0; time < 2; time += 1) {
      expect(shown(await actionCache.getActionResult({ ...key, ...hints }))).toEqual(shown(made));
    }
    const inlined = await actionCache.getActionResult({ ...key, ...hints, inlineOutputFiles: ['out'] });
    expect(file.bytes.equals(inlined.outputFiles[0]!.contents)).toBe(true);
    const tree = { ...key, rootDigest: rootDigest.toMessage(), pageSize: 0, pageToken: '' };
    const [page] = await Array.fromAsync(cas.getTree(tree));
    expect(page?.directories).toHaveLength(1);
  });
});

it('keeps the functions apart: bytes known by one hash are not known by another', async () => {
  const bytes = Buffer.from('the same bytes, named six times');
  const digests = digestFunctions.map((value) => Digest.ofBytes(bytes, value));
  for (const digest of digests) {
    expect(await missing([digest], digest.digestFunction)).toEqual([String(digest)]);
    await write(digest, bytes);
    expect((await read(digest)).equals(bytes)).toBe(true);
  }
});

it('takes a hash of 64 digits for SHA256 where nothing is said, also when BLAKE3 was meant', async () => {
  const bytes = Buffer.from('bytes whose BLAKE3 was not said');
  const digest = Digest.ofBytes(bytes, BLAKE3);
  const resourceName = `uploads/${randomUUID()}/blobs/${digest}`;
  await expect(byteStream.write(messages(message(resourceName, 0, bytes, true)))).rejects.toMatchObject({
    code: Code.INVALID_ARGUMENT,
  });
  await write(digest, bytes);
  expect(await missing([digest], DigestFunction_Value.UNKNOWN)).toEqual([String(digest)]);
  expect(await missing([digest], BLAKE3)).toEqual([]);
});

it('refuses a function that is named where REAPI forbids it', async () => {
  const bytes = Buffer.from('sha256 needs no name');
  const digest = Digest.ofBytes(bytes);
  for (const name of [`blobs/sha256/${digest}`, `blobs/sha1/${digest}`]) {
    const resourceName = `uploads/${randomUUID()}/${name}`;
    await expect(byteStream.write(messages(message(resourceName, 0, bytes, true)))).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  }
});

it('stays SHA256 over HTTP', async () => {
  const { host, port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  const bytes = Buffer.from('a body for HTTP');
  const statuses: Record<string, number> = {};
  for (const [name, value] of named) {
    const { hash } = Digest.ofBytes(bytes, value);
    const url = `http://${host}:${port}/cas/${hash}`;
    statuses[name] = (await fetch(url, { method: 'PUT', body: bytes })).status;
  }
  expect(statuses).toEqual({ sha256: 200, blake3: 400, sha1: 400, sha384: 400, sha512: 400, md5: 400 });
  const { hash } = Digest.ofBytes(bytes);
  expect(await (await fetch(`http://${host}:${port}/cas/${hash}`)).text()).toBe('a body for HTTP');
});
