import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { BlobFiles } from '../../../cache/blobs/blob-files.ts';
import { BlobIndex } from '../../../cache/disk/blob-index.ts';
import { FileBlobs } from '../../../cache/disk/file-blobs.ts';
import { indexWordsOf } from '../../../cache/disk/index-words.ts';
import { Digest } from '../../../core/digest.ts';
import { noFailPoints } from '../../../core/fail-point.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

it('names a file by its own hash where a longer hash had its id before', async () => {
  await using folder = await tempFolder();
  const index = new BlobIndex();
  await using files = await BlobFiles.open({
    folder: folder.path,
    logger: silentLogger,
    failPoints: noFailPoints,
    onExpelled: () => undefined,
  });
  const { bytes, digest } = sampleBlob(1000);
  const long = Digest.ofBytes(bytes, DigestFunction_Value.SHA512);
  await mkdir(dirname(files.layout.blobPath(long)), { recursive: true });
  await writeFile(files.layout.blobPath(long), bytes.subarray(1));
  const blobs = new FileBlobs({ files, index, logger: silentLogger });
  expect((await blobs.enterAll()).map(({ hash }) => hash)).toEqual([long.hash]);
  // A record of the same hash, and the right length, takes the entry's place; then that goes, too.
  index.remove(index.findHash(indexWordsOf(long), long.digestFunction));

  const staging = {
    digestFunction: digest.digestFunction,
    bytesMax: 1000,
    what: 'a blob',
    signal: new AbortController().signal,
    onMoved: () => undefined,
  };
  await using staged = await files.stage(bytesOf(bytes), staging);
  await blobs.commit(staged, () => false);
  const id = index.findHash(indexWordsOf(digest), digest.digestFunction);
  expect(blobs.digestOf(id).toString()).toBe(digest.toString());
});
