import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  Action,
  Command,
  type DeepPartial,
  Directory,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { ClientRun } from '../setup/farm-client.ts';
import { plainScript } from '../setup/gated-run.ts';
import { rejection } from '../setup/rejection.ts';
import { WatchedFarm } from '../setup/watched-farm.ts';

const BYTES = Buffer.from('an input');
const TRUE = Digest.ofBytes(BYTES);

let farm: WatchedFarm;

beforeAll(async () => {
  farm = await WatchedFarm.start();
});
afterAll(() => farm?.[Symbol.asyncDispose]());

/** Uploads what an action is made of, however bad, and executes it. */
async function execute(parts: {
  readonly root?: Uint8Array;
  readonly command?: DeepPartial<Command>;
}): Promise<{ code: number; message: string }> {
  const store = async (bytes: Uint8Array) => {
    const digest = Digest.ofBytes(bytes);
    await farm.connection.blobStore.write(digest, bytesOf(bytes));
    return digest;
  };
  const command = Command.fromPartial({ arguments: ['true'], ...parts.command });
  const commandDigest = await store(Command.encode(command).finish());
  const inputRootDigest = await store(parts.root ?? new Uint8Array());
  await store(BYTES);
  const action = Action.fromPartial({
    commandDigest: commandDigest.toMessage(),
    inputRootDigest: inputRootDigest.toMessage(),
  });
  const actionDigest = await store(Action.encode(action).finish());
  await farm.beginWatch();
  const { code, message: text } = await rejection(
    Array.fromAsync(
      farm.connection.execution.execute({
        instanceName: '',
        actionDigest: actionDigest.toMessage(),
        skipCacheLookup: true,
        digestFunction: 0,
        executionPolicy: undefined,
        resultsCachePolicy: undefined,
        inlineStdout: false,
        inlineStderr: false,
        inlineOutputFiles: [],
      }),
    ),
  );
  return { code, message: text };
}

describe('an action that would reach outside of its input root', () => {
  afterEach(() => farm.expectUntouched());

  const file = (name: string) => ({ name, digest: TRUE.toMessage() });
  const directory = (name: string) => ({ name, digest: Digest.ofBytes(new Uint8Array()).toMessage() });
  const symlink = (name: string) => ({ name, target: 'x' });
  const encode = (root: DeepPartial<Directory>) => Directory.encode(Directory.fromPartial(root)).finish();

  describe.each([
    ['a file', (name: string) => encode({ files: [file(name)] })],
    ['a directory', (name: string) => encode({ directories: [directory(name)] })],
    ['a symlink', (name: string) => encode({ symlinks: [symlink(name)] })],
  ])('by the name of %s', (_, rootOf) => {
    it.each([
      ['..', 'leads elsewhere'],
      ['.', 'leads elsewhere'],
      ['', 'is empty'],
      ['a/b', 'contains a slash'],
      ['/etc/passwd', 'contains a slash'],
      ['a\0b', 'contains a NUL'],
      ['x'.repeat(256), 'is longer than 255 bytes'],
      ['\uFEFF', 'begins with a byte order mark'],
      ['\uFEFF..', 'begins with a byte order mark'],
    ])('%j is refused', async (name, why) => {
      const { code, message: text } = await execute({ root: rootOf(name) });
      expect(code).toBe(Code.INVALID_ARGUMENT);
      expect(text).toMatch(/^input root [0-9a-f]{64}\/\d+: directory/);
      expect(text).toContain(why);
    });

    it('that is not UTF-8 is refused', async () => {
      const root = Buffer.from(rootOf('QQQQ'));
      root.fill(0xff, root.indexOf('QQQQ'), root.indexOf('QQQQ') + 4);
      const { code, message: text } = await execute({ root });
      expect(code).toBe(Code.INVALID_ARGUMENT);
      expect(text).toContain('not a well-formed message');
    });

    it('that comes twice is refused', async () => {
      const { code, message: text } = await execute({ root: Buffer.concat([rootOf('a'), rootOf('a')]) });
      expect(code).toBe(Code.INVALID_ARGUMENT);
      expect(text).toContain('name "a" comes twice');
    });

    it('out of order is refused', async () => {
      const { code, message: text } = await execute({ root: Buffer.concat([rootOf('b'), rootOf('a')]) });
      expect(code).toBe(Code.INVALID_ARGUMENT);
      expect(text).toContain('are not sorted, "a" comes after "b"');
    });
  });

  it.each([
    ['a file and a directory', { files: [file('a')], directories: [directory('a')] }],
    ['a file and a symlink', { files: [file('a')], symlinks: [symlink('a')] }],
    ['a directory and a symlink', { directories: [directory('a')], symlinks: [symlink('a')] }],
  ])('by one name for %s is refused', async (_, root) => {
    const { code, message: text } = await execute({ root: encode(root) });
    expect(code).toBe(Code.INVALID_ARGUMENT);
    expect(text).toContain('name "a" comes twice');
  });

  describe.each([
    ['output_paths', 'output path', (path: string) => ({ outputPaths: [path] })],
    ['output_files', 'output file', (path: string) => ({ outputFiles: [path] })],
    ['output_directories', 'output directory', (path: string) => ({ outputDirectories: [path] })],
    ['working_directory', 'working_directory', (path: string) => ({ workingDirectory: path })],
  ])('by %s', (_, what, commandOf) => {
    it.each([
      ['..', '".." leads elsewhere'],
      ['../outside', '".." leads elsewhere'],
      ['a/../../outside', '".." leads elsewhere'],
      ['./a', '"." leads elsewhere'],
      ['/etc/outside', 'is absolute, expected a relative path'],
      ['//outside', 'is absolute, expected a relative path'],
      ['a//b', '"" is empty'],
      ['a/', '"" is empty'],
      ['a\0b', 'contains a NUL'],
      [`a/${'x'.repeat(256)}`, 'is longer than 255 bytes'],
    ])('%j is refused', async (path, why) => {
      const { code, message: text } = await execute({ command: commandOf(path) });
      expect(code).toBe(Code.INVALID_ARGUMENT);
      expect(text.startsWith(`${what} "`), text).toBe(true);
      expect(text).toContain(why);
    });
  });
});

it('one that stays inside is run, and that is seen', async () => {
  await farm.beginWatch();
  const spec = { script: plainScript('good'), files: { input: 'x' } };
  expect(await new ClientRun(farm.connection, spec).runId()).toMatch(/^[0-9a-f-]{36}$/);
  const touched = farm.touched();
  expect(touched).toContain(farm.data('worker', 'work'));
  expect(touched).toContain(farm.data('scheduler', 'journal-v1'));
});
