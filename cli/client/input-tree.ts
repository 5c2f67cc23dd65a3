import assert from 'node:assert/strict';
import { throwIfAborted } from '../../core/abort.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { encodeCanonical } from '../../core/directory.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { DigestCache } from './digest-cache.ts';
import { digestFile } from './file-digest.ts';
import type { FileFacts } from './file-facts.ts';
import type { InputBlob } from './input-blob.ts';
import { InputScan, type ScannedDirectory, type ScanTotals } from './input-scan.ts';
import { pathInRoot } from './local-path.ts';

/** Files read at once: enough to keep a disk busy, few enough for any limit on open files. */
const HASHING_FILES_MAX = 8;
/** Cached digests are looked up in runs of this many between turns of the event loop. */
const REPORT_FILES = 500;

/** An input root as REAPI knows it, and the blobs it is made of. */
export interface InputTree {
  readonly rootDigest: Digest;
  /** Every Directory message and file, once each, by digest key. */
  readonly blobs: ReadonlyMap<string, InputBlob>;
  readonly totals: ScanTotals;
}

interface InputTreeOptions extends IoOptions {
  /** Knows the digests of files that did not change. */
  readonly digestCache?: DigestCache | undefined;
  /** Called as files are hashed. */
  readonly onProgress?: (hashedBytes: number, totals: ScanTotals) => void;
}

/**
 * Builds the Merkle tree of the inputs a person named: files with their exec bit, directories with all they hold
 * (nothing is special, `.git` neither), symlinks as symlinks. `rootPath` is the directory they are relative to.
 */
export async function buildInputTree(
  rootPath: string,
  inputs: readonly string[],
  options: InputTreeOptions = {},
): Promise<InputTree> {
  const scan = new InputScan(rootPath);
  for (const input of inputs) await scan.add(pathInRoot(rootPath, input, 'input'), options);

  const digests = await digestFiles(filesOf(scan.root), scan.totals, options);
  const blobs = new Map<string, InputBlob>();
  const rootDigest = encodeTree(scan.root, digests, blobs);
  await options.digestCache?.save();
  return { rootDigest, blobs, totals: scan.totals };
}

function* filesOf(directory: ScannedDirectory): Generator<FileFacts> {
  yield* directory.files.values();
  for (const child of directory.directories.values()) yield* filesOf(child);
}

async function digestFiles(
  files: Iterable<FileFacts>,
  totals: ScanTotals,
  { digestCache, onProgress, signal }: InputTreeOptions,
): Promise<ReadonlyMap<string, Digest>> {
  const digests = new Map<string, Digest>();
  const unknown: FileFacts[] = [];
  let hashedBytes = 0;
  let count = 0;
  for (const facts of files) {
    const known = digestCache?.lookup(facts);
    if (known === undefined) unknown.push(facts);
    else {
      digests.set(facts.path, known);
      hashedBytes += facts.sizeBytes;
    }
    if (++count % REPORT_FILES === 0) throwIfAborted(signal);
  }
  await mapConcurrent(
    unknown,
    HASHING_FILES_MAX,
    async (facts, laneSignal) => {
      const found = await digestFile(facts, { signal: laneSignal });
      digests.set(facts.path, found.digest);
      digestCache?.record(found.facts, found.digest);
      hashedBytes += found.digest.sizeBytes;
      onProgress?.(hashedBytes, totals);
      // Small files are read synchronously; without this no signal and no redraw would get a turn.
      await new Promise((resolve) => setImmediate(resolve));
    },
    { signal },
  );
  return digests;
}

/** Leaves first, so that a directory's digest is known when its parent is encoded. Depth is bounded by the scan. */
function encodeTree(
  directory: ScannedDirectory,
  digests: ReadonlyMap<string, Digest>,
  blobs: Map<string, InputBlob>,
): Digest {
  const files = [...directory.files].map(([name, facts]) => {
    const digest = digests.get(facts.path);
    assert(digest !== undefined, `no digest for ${facts.path}`);
    if (!digest.isEmpty) blobs.set(digest.key, { digest, path: facts.path });
    return {
      name,
      digest: digest.toMessage(),
      isExecutable: facts.isExecutable,
      nodeProperties: undefined,
    };
  });
  const directories = [...directory.directories].map(([name, child]) => ({
    name,
    digest: encodeTree(child, digests, blobs).toMessage(),
  }));
  const symlinks = [...directory.symlinks].map(([name, target]) => ({
    name,
    target,
    nodeProperties: undefined,
  }));
  const bytes = encodeCanonical({ files, directories, symlinks, nodeProperties: undefined });
  const digest = Digest.ofBytes(bytes);
  if (!digest.isEmpty) blobs.set(digest.key, { digest, bytes });
  return digest;
}
