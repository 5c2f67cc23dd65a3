import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Segment } from '../../cache/disk/segment.ts';
import { RECORD_HEADER_BYTES, type RecordFields, RecordKind } from '../../cache/disk/segment-record.ts';
import { scanSegment } from '../../cache/disk/segment-scan.ts';
import { Digest } from '../../core/digest.ts';
import { hexOfWords } from '../../core/hash-words.ts';

/** Where a SHA-256 blob's bytes are in a cache's folder. */
interface StoredBlob {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** All SHA-256 blobs on disk by hash, in files and segments; throws when one is not what its name says. */
export async function storedBlobs(cacheFolder: string): Promise<Map<string, StoredBlob>> {
  return new Map([...(await blobsInFiles(cacheFolder)), ...(await blobsInSegments(cacheFolder))]);
}

/** Changes bytes of a blob where it is stored. */
export async function damageStoredBlob(
  cacheFolder: string,
  { hash }: Digest,
  change: (bytes: Buffer) => void = (bytes) => {
    bytes[0]! ^= 1;
  },
): Promise<void> {
  const blob = (await storedBlobs(cacheFolder)).get(hash);
  if (blob === undefined) throw new Error(`blob ${hash} is not stored`);
  const bytes = await readFile(blob.path);
  change(bytes.subarray(blob.offset, blob.offset + blob.sizeBytes));
  await chmod(blob.path, 0o644);
  await writeFile(blob.path, bytes);
}

async function blobsInFiles(cacheFolder: string): Promise<Map<string, StoredBlob>> {
  const blobs = new Map<string, StoredBlob>();
  const top = join(cacheFolder, 'cas-v1', 'sha256');
  const folders = await readdir(top).catch(() => []);
  for (const folder of folders) {
    for (const hash of await readdir(join(top, folder))) {
      const path = join(top, folder, hash);
      const bytes = await readFile(path);
      const seen = Digest.ofBytes(bytes);
      if (seen.hash !== hash) throw new Error(`blob ${hash} has the bytes of ${seen}`);
      blobs.set(hash, { path, offset: 0, sizeBytes: bytes.length });
    }
  }
  return blobs;
}

/** A record whose bytes are not its digest's is no record; what a torn tail holds does not count either. */
async function blobsInSegments(cacheFolder: string): Promise<Map<string, StoredBlob>> {
  const blobs = new Map<string, StoredBlob>();
  const folder = join(cacheFolder, 'segments-v1');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.seg'));
  for (const name of names.sort()) {
    const path = join(folder, name);
    const segment = await Segment.open(path, Number.parseInt(name, 10));
    if (segment === undefined) continue;
    const note = ({ kind, digest, offset }: RecordFields) => {
      const hash = hexOfWords(digest.words);
      const { sizeBytes } = digest;
      if (kind === RecordKind.blob)
        blobs.set(hash, { path, offset: offset + RECORD_HEADER_BYTES, sizeBytes });
      if (kind === RecordKind.drop) blobs.delete(hash);
    };
    scanSegment(await segment.read(0, segment.lengthBytes), segment.seed, note);
    await segment.retire();
  }
  return blobs;
}
