import { expect } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  Action,
  Command,
  type Digest as DigestMessage,
  Directory,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../proto/gen/google/rpc/error_details.ts';
import { rejection } from '../setup/rejection.ts';
import { fault, type Saw } from './fault.ts';
import { sharedServer } from './shared-server.ts';

/** The bar: refused within this time, and with no more memory than this beyond what the farm has at rest. */
const REFUSAL_MS = 1000;
const GROWTH_BYTES = 256 * 1024 * 1024;

const farm = sharedServer({ role: 'up' });

const store = async (bytes: Uint8Array): Promise<DigestMessage> => {
  const digest = Digest.ofBytes(bytes);
  await farm().blobs.write(digest, bytesOf(bytes));
  return digest.toMessage();
};
const directory = (content: Partial<Directory>): Uint8Array =>
  Directory.encode(Directory.fromPartial(content)).finish();

/** Executes an action on this input root and says how it was refused, how soon, and what it cost. */
async function refusalOf(root: DigestMessage, saw: Saw) {
  const commandDigest = await store(Command.encode(Command.fromPartial({ arguments: ['true'] })).finish());
  const action = Action.encode(Action.fromPartial({ commandDigest, inputRootDigest: root })).finish();
  const actionDigest = await store(action);
  const before = await farm().residentBytes();
  const startedMs = performance.now();
  const error = await rejection(farm().execute(actionDigest));
  const ms = performance.now() - startedMs;
  const grown = Math.max(0, (await farm().peakBytes()) - before);
  const mib = (grown / 2 ** 20).toFixed(0);
  saw(`${codeToJSON(error.code)} in ${ms.toFixed(0)} ms, +${mib} MiB: ${error.message.slice(0, 160)}`);
  expect(ms).toBeLessThan(REFUSAL_MS);
  expect(grown).toBeLessThan(GROWTH_BYTES);
  return error;
}

/** A directory in which ten names lead to one child. */
const tenfold = (child: DigestMessage) =>
  directory({
    directories: Array.from({ length: 10 }, (_, index) => ({ name: `d${index}`, digest: child })),
  });

fault('R25', 'thirty levels of ten equal directories', async (saw) => {
  let root = await store(directory({ symlinks: [{ name: 'end', target: 'x', nodeProperties: undefined }] }));
  for (let level = 0; level < 30; level++) root = await store(tenfold(root));
  expect(await refusalOf(root, saw)).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: expect.stringContaining('the tree has more than 500000 files, directories and symlinks'),
  });
});

fault('R25', 'a million files in a few directories', async (saw) => {
  const file = await store(Buffer.from('x'));
  const files = Array.from({ length: 10_000 }, (_, index) => ({
    name: `f${String(index).padStart(5, '0')}`,
    digest: file,
    isExecutable: false,
    nodeProperties: undefined,
  }));
  const full = await store(directory({ files }));
  const directories = Array.from({ length: 100 }, (_, index) => ({
    name: `d${String(index).padStart(3, '0')}`,
    digest: full,
  }));
  expect(await refusalOf(await store(directory({ directories })), saw)).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: expect.stringContaining('the tree has more than 500000 files, directories and symlinks'),
  });
});

fault('R25', 'ten thousand levels', async (saw) => {
  let root = await store(directory({ symlinks: [{ name: 'end', target: 'x', nodeProperties: undefined }] }));
  for (let level = 0; level < 10_000; level++) {
    const below = directory({ directories: [{ name: 'd', digest: root }] });
    // The walk is refused near the top; the lowest levels are never asked for.
    root = level < 9_600 ? Digest.ofBytes(below).toMessage() : await store(below);
  }
  expect(await refusalOf(root, saw)).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: expect.stringContaining('the tree has more than 256 levels of directories'),
  });
});

fault('R25', 'a directory of 100 MiB', async (saw) => {
  const large = Buffer.alloc(100 * 1024 * 1024, 1);
  expect(await refusalOf(await store(large), saw)).toMatchObject({ code: Code.INVALID_ARGUMENT });
});

fault('R25', 'bytes that are no directory', async (saw) => {
  expect(await refusalOf(await store(Buffer.from('these are no directory')), saw)).toMatchObject({
    code: Code.INVALID_ARGUMENT,
  });
});

fault('R25', 'an absent child', async (saw) => {
  const child = Digest.ofBytes(Buffer.from('never uploaded')).toMessage();
  const root = await store(directory({ directories: [{ name: 'gone', digest: child }] }));
  const error = await refusalOf(root, saw);
  expect(error.code).toBe(Code.FAILED_PRECONDITION);
  const [violation] = PreconditionFailure.decode(error.details[0]!.value).violations;
  expect(violation).toMatchObject({ type: 'MISSING', subject: `blobs/${child.hash}/${child.sizeBytes}` });
  saw(`violation ${violation?.type} ${violation?.subject}`);
});

fault('R25', 'a child that is named with another size than it has', async (saw) => {
  const child = await store(
    directory({ symlinks: [{ name: 'end', target: 'y', nodeProperties: undefined }] }),
  );
  const wrong = { ...child, sizeBytes: child.sizeBytes + 1 };
  const root = await store(directory({ directories: [{ name: 'child', digest: wrong }] }));
  const error = await refusalOf(root, saw);
  expect(error.code).toBe(Code.FAILED_PRECONDITION);
  expect(PreconditionFailure.decode(error.details[0]!.value).violations).toMatchObject([
    { type: 'MISSING', subject: `blobs/${wrong.hash}/${wrong.sizeBytes}` },
  ]);
});
