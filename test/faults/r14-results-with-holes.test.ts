import { expect } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  ActionCacheDefinition,
  ActionResult,
  type DeepPartial,
  Directory,
  GetActionResultRequest,
  Tree,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { sampleBlob } from '../cache/bytes.ts';
import { rejection } from '../setup/rejection.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { flipBit, placesOf } from './damage-blob.ts';
import { fault } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

const ACTION = sampleBlob(100, 14_000).digest;
const FILE = sampleBlob(2000, 14_001);
const NESTED = sampleBlob(3000, 14_002);

async function store(cache: ServerUnderFault, bytes: Uint8Array): Promise<Digest> {
  const digest = Digest.ofBytes(bytes);
  await cache.blobs.write(digest, bytesOf(bytes));
  return digest;
}

/** What an action made: one file, and one directory with a file below a child that only its Tree names. */
async function resultOf(cache: ServerUnderFault): Promise<ActionResult> {
  const child = Directory.fromPartial({ files: [{ name: 'nested', digest: NESTED.digest.toMessage() }] });
  const childDigest = Digest.ofBytes(Directory.encode(child).finish()).toMessage();
  const root: DeepPartial<Directory> = { directories: [{ name: 'child', digest: childDigest }] };
  const tree = Tree.encode(Tree.fromPartial({ root, children: [child] })).finish();
  return ActionResult.fromPartial({
    outputFiles: [{ path: 'out', digest: (await store(cache, FILE.bytes)).toMessage() }],
    outputDirectories: [{ path: 'dir', treeDigest: (await store(cache, tree)).toMessage() }],
  });
}

for (const [what, lost] of [
  ['an output file', FILE],
  ["a file that only an output directory's Tree names", NESTED],
] as const) {
  fault('R14', `a cached result of which ${what} is gone`, async (saw) => {
    await using data = await tempFolder();
    const key = { instanceName: '', actionDigest: ACTION };
    {
      await using cache = await ServerUnderFault.start(data.path);
      const early = await rejection(cache.results.put(key, await resultOf(cache)));
      expect(early.code).toBe(Code.FAILED_PRECONDITION);
      saw(
        `filed before the nested file was there: ${codeToJSON(early.code)}: ${early.message.slice(0, 120)}`,
      );
      await store(cache, NESTED.bytes);
      await cache.results.put(key, await resultOf(cache));
      expect(await cache.results.get(key)).toBeDefined();
    }
    const [place] = await placesOf(data.path, lost.bytes);
    await flipBit(place!, 500);
    await using cache = await ServerUnderFault.start(data.path);
    expect(await cache.blobs.read(lost.digest)).toBeUndefined();
    const client = cache.channel.client(ActionCacheDefinition);
    const request = GetActionResultRequest.fromPartial({ actionDigest: ACTION.toMessage() });
    const error = await rejection(client.getActionResult(request));
    expect([error.code, error.message]).toEqual([Code.NOT_FOUND, `no result of action ${ACTION} is cached`]);
    saw(`${codeToJSON(error.code)}: ${error.message}`);
    // Dropped, not only hidden: it does not come back with the blob.
    await store(cache, lost.bytes);
    expect(await cache.results.get(key)).toBeUndefined();
    saw('dropped: it stays away when the blob is back');
  });
}
