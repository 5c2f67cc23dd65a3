import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LevelActionCache } from '../../../cache/actions/level-action-cache.ts';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import { LevelChunkLists } from '../../../cache/chunking/level-chunk-lists.ts';
import { DiskBlobStore } from '../../../cache/disk/disk-blob-store.ts';
import { verifyCache } from '../../../cache/verify/verify-cache.ts';
import { Digest } from '../../../core/digest.ts';
import { FolderLock } from '../../../core/folder-lock.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Tree } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';
import { actionKey, outputFiles, result } from '../results.ts';

/** A stopped cache with small and large blobs in sealed and unsealed segments, and results that name them. */
async function stoppedCache({ withTreeHole = false } = {}) {
  const temp = await tempFolder();
  const folder = join(temp.path, 'cache');
  const blobs = [...Array.from({ length: 50 }, (_, seed) => sampleBlob(4000, seed)), sampleBlob(300_000, 99)];
  const settings = { recentBlobBytes: 0, invocationTtlMs: 1000, segmentBytes: 64 * 1024 };
  {
    await using disk = await DiskBlobStore.open({ folder, logger: silentLogger, ...settings });
    const store = disk.forInstance('');
    for (const { bytes, digest } of blobs) await store.write(digest, bytesOf(bytes));
    await using records = await LevelRecords.open({ folder: join(folder, 'ac-v1'), logger: silentLogger });
    const actionCache = new LevelActionCache({ records, logger: silentLogger });
    for (const [index, { digest }] of blobs.entries()) {
      await actionCache.put(actionKey(index), result({ outputFiles: outputFiles({ out: digest }) }));
    }
    if (withTreeHole) {
      const absent = sampleBlob(10, 7777).digest;
      const files = [
        { name: 'x', digest: absent.toMessage(), isExecutable: false, nodeProperties: undefined },
      ];
      const root = { files, directories: [], symlinks: [], nodeProperties: undefined };
      const tree = Buffer.from(Tree.encode({ root, children: [] }).finish());
      const treeDigest = Digest.ofBytes(tree);
      await store.write(treeDigest, bytesOf(tree));
      const directory = {
        path: 'd',
        treeDigest: treeDigest.toMessage(),
        isTopologicallySorted: false,
        rootDirectoryDigest: undefined,
      };
      await actionCache.put(actionKey(500), result({ outputDirectories: [directory] }));
    }
  }
  const verify = (repair = false) =>
    verifyCache({
      data: temp.path,
      repair,
      signal: new AbortController().signal,
      onProgress: () => undefined,
    });
  return { folder, blobs, verify, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

describe('verifyCache', () => {
  it('finds nothing wrong with a sound cache', async () => {
    await using cache = await stoppedCache();
    expect(await cache.verify()).toEqual({
      blobs: 51,
      bytes: 500_000,
      results: 51,
      resultsElsewhere: 0,
      problems: [],
    });
  });

  it('names damaged blobs and the results that lack them, changes nothing, and repairs when asked to', async () => {
    await using cache = await stoppedCache();
    const [record, file] = [cache.blobs[3]!, cache.blobs[50]!];
    for (const { digest } of [record, file]) await damageStoredBlob(cache.folder, digest);
    const hashOf = (index: number) => actionKey(index).actionDigest.hash;
    const expected = [
      `blob ${file.digest} is damaged`,
      `blob ${record.digest} is damaged`,
      `the result of action ${hashOf(3)} in instance "" lacks blob ${record.digest}`,
      `the result of action ${hashOf(50)} in instance "" lacks blob ${file.digest}`,
    ].sort();
    for (const _time of [1, 2]) expect([...(await cache.verify()).problems].sort()).toEqual(expected);
    expect((await cache.verify(true)).problems).toHaveLength(4);
    expect(await cache.verify()).toEqual({
      blobs: 49,
      bytes: 196_000,
      results: 49,
      resultsElsewhere: 0,
      problems: [],
    });
  });

  it('names a file that was cut off, and takes it out only when asked to', async () => {
    await using cache = await stoppedCache();
    const { digest } = cache.blobs[50]!;
    const path = join(cache.folder, 'cas-v1', 'sha256', digest.hash.slice(0, 2), digest.hash);
    await truncate(path, 100);
    const lacks = `the result of action ${actionKey(50).actionDigest.hash} in instance "" lacks blob ${digest}`;
    for (const _time of [1, 2]) {
      expect((await cache.verify()).problems).toEqual([`blob ${digest.hash}/100 is damaged`, lacks]);
    }
    expect((await cache.verify(true)).problems).toEqual([
      `a damaged blob was taken out of the store (hash ${digest.hash}, expectedBytes 300000, seen 100 bytes, kept true)`,
      lacks,
    ]);
    expect((await cache.verify()).problems).toEqual([]);
  });

  it('looks into trees', async () => {
    await using cache = await stoppedCache({ withTreeHole: true });
    const { problems } = await cache.verify();
    expect(problems).toEqual([
      `the result of action ${actionKey(500).actionDigest.hash} in instance "" lacks blob ${sampleBlob(10, 7777).digest}`,
    ]);
  });

  it('leaves results whose blobs may be in the object store behind the cache', async () => {
    await using cache = await stoppedCache();
    await mkdir(join(cache.folder, 'tier-v1'));
    const file = cache.blobs[50]!;
    await damageStoredBlob(cache.folder, file.digest);
    const repaired = await cache.verify(true);
    expect(repaired).toMatchObject({
      results: 51,
      resultsElsewhere: 1,
      problems: [expect.stringContaining('taken out')],
    });
    expect(await cache.verify()).toMatchObject({ results: 51, resultsElsewhere: 1, problems: [] });
  });

  it('names lists whose chunks make another blob, and drops them when asked to', async () => {
    await using cache = await stoppedCache();
    const claimed = sampleBlob(3_000_000, 8888).digest;
    const claimedInTeam = sampleBlob(3_000_000, 8890).digest;
    const inTeam = sampleBlob(4000, 8891);
    {
      await using records = await LevelRecords.open({
        folder: join(cache.folder, 'ac-v1'),
        logger: silentLogger,
      });
      const lists = await LevelChunkLists.open({ records });
      const [first, second] = [cache.blobs[0]!.digest, cache.blobs[50]!.digest];
      await lists.put(claimed, { chunks: [first, second], chunkingFunction: 0 });
      // Its chunk is gone, as eviction may have it at any time.
      // And one of another instance.
      await using disk = await DiskBlobStore.open({
        folder: cache.folder,
        logger: silentLogger,
        recentBlobBytes: 0,
        invocationTtlMs: 1000,
      });
      await disk.forInstance('team').write(inTeam.digest, bytesOf(inTeam.bytes));
      await lists.put(claimedInTeam, { chunks: [inTeam.digest], chunkingFunction: 0 });
      const gone = { chunks: [sampleBlob(5, 7778).digest], chunkingFunction: 0 as const };
      await lists.put(sampleBlob(3_000_000, 8889).digest, gone);
    }
    const wrong = [claimed, claimedInTeam].map(
      (digest) => `the chunks listed for blob ${digest} make another one`,
    );
    expect((await cache.verify()).problems).toEqual(wrong);
    expect((await cache.verify(true)).problems).toEqual(wrong);
    expect((await cache.verify()).problems).toEqual([]);
  });

  it('names what it does not know', async () => {
    await using cache = await stoppedCache();
    await writeFile(join(cache.folder, 'core.123'), 'x');
    await writeFile(join(cache.folder, 'segments-v1', 'notes.txt'), 'x');
    expect((await cache.verify()).problems).toEqual([
      "core.123 in the cache's folder is nothing the cache knows",
      "segments-v1/notes.txt in the cache's folder is nothing the cache knows",
    ]);
  });

  it('refuses a cache that is running', async () => {
    await using cache = await stoppedCache();
    await using _lock = await FolderLock.acquire(cache.folder);
    await expect(cache.verify()).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining(`${cache.folder} is in use by process ${process.pid}`),
    });
  });
});
