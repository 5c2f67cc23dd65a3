import { afterAll, beforeAll, expect, test } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { collectBytes } from '../../../core/streams.ts';
import {
  type Digest as DigestMessage,
  type ExecuteResponse,
  Command_OutputDirectoryFormat as Format,
  Tree,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { describeStrict } from '../describe-strict.ts';
import { RunningWorker } from '../running-worker.ts';
import type { ActionSketch } from '../stored-action.ts';

// What becomes of the things an action leaves. See reliability R26 and R27.

describeStrict('outputs', () => {
  let worker: RunningWorker;
  beforeAll(async () => {
    worker = await RunningWorker.start({
      actionOutputEntries: 200,
      actionOutput: '1MiB',
      actionOutputDepth: 20,
    });
  });
  afterAll(async () => {
    await worker?.[Symbol.asyncDispose]();
  });

  function shell(script: string, command: ActionSketch['command'], rest: Partial<ActionSketch> = {}) {
    return worker.run({ ...rest, arguments: ['sh', '-c', script], command });
  }

  async function text(digest: DigestMessage | undefined): Promise<string> {
    const source = await worker.store.read(Digest.fromMessage(digest));
    return (await collectBytes(source!, { bytesMax: 1e6, what: 'blob' })).toString();
  }

  async function tree(response: ExecuteResponse, index = 0): Promise<Tree> {
    const digest = Digest.fromMessage(response.result!.outputDirectories[index]!.treeDigest);
    return Tree.decode(
      await collectBytes((await worker.store.read(digest))!, { bytesMax: 1e6, what: 'tree' }),
    );
  }

  test('since REAPI 2.1: paths are told by what they are, and absent ones are left out', async () => {
    const { result, status } = await shell(
      `printf one > f; printf '#!/bin/sh' > x; chmod 744 x; mkdir d; ln -s nowhere l; rmdir gone`,
      { outputPaths: ['absent', 'd', 'f', 'gone/too', 'l', 'x'] },
    );
    expect(status).toBeUndefined();
    expect(result!.outputFiles.map(({ path, isExecutable }) => [path, isExecutable])).toEqual([
      ['f', false],
      ['x', true],
    ]);
    expect(await text(result!.outputFiles[0]!.digest)).toBe('one');
    expect(result!.outputDirectories.map(({ path }) => path)).toEqual(['d']);
    expect(result!.outputSymlinks).toEqual([{ path: 'l', target: 'nowhere', nodeProperties: undefined }]);
    expect([...result!.outputFileSymlinks, ...result!.outputDirectorySymlinks]).toEqual([]);
  });

  test('before REAPI 2.1: files and directories are told apart by the command', async () => {
    const { result } = await shell('printf one > f; mkdir d; ln -s f lf; ln -s d ld', {
      outputFiles: ['f', 'lf', 'absent'],
      outputDirectories: ['d', 'ld', 'no'],
    });
    expect(result!.outputFiles.map(({ path }) => path)).toEqual(['f']);
    expect(result!.outputDirectories.map(({ path }) => path)).toEqual(['d']);
    expect(result!.outputFileSymlinks.map(({ path, target }) => [path, target])).toEqual([['lf', 'f']]);
    expect(result!.outputDirectorySymlinks.map(({ path, target }) => [path, target])).toEqual([['ld', 'd']]);
    expect(result!.outputSymlinks).toEqual([]);
  });

  test.each([
    ['file', 'directory', 'mkdir out', { outputFiles: ['out'] }],
    ['directory', 'file', 'touch out', { outputDirectories: ['out'] }],
  ])('an output declared as a %s that is a %s is an error', async (declared, seen, script, command) => {
    const { status, result } = await shell(script, command);
    expect(status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `output "out" was declared as a ${declared} and is a ${seen}`,
    });
    expect(result!.exitCode).toBe(0);
  });

  test('a directory comes with everything in it: empty ones, links, modes, unicode', async () => {
    const script = `mkdir -p d/empty d/sub; printf a > d/sub/é; printf '#!' > d/x; chmod 755 d/x; ln -s ../../etc/passwd d/l`;
    const response = await shell(script, { outputPaths: ['d'] });
    const { root, children } = await tree(response);
    expect(root!.directories.map(({ name }) => name)).toEqual(['empty', 'sub']);
    expect(root!.files.map(({ name, isExecutable }) => [name, isExecutable])).toEqual([['x', true]]);
    expect(root!.symlinks.map(({ name, target }) => [name, target])).toEqual([['l', '../../etc/passwd']]);
    expect(children.map(({ files }) => files.map(({ name }) => name))).toEqual([['é'], []]);
    expect(await text(children[0]!.files[0]!.digest)).toBe('a');
    expect(response.result!.outputDirectories[0]!.isTopologicallySorted).toBe(true);
  });

  test('a directory is given in the form that is asked for', async () => {
    const outputDirectoryFormat = Format.DIRECTORY_ONLY;
    const { result } = await shell('mkdir d; printf a > d/f', { outputPaths: ['d'], outputDirectoryFormat });
    const [directory] = result!.outputDirectories;
    expect(directory).toMatchObject({ treeDigest: undefined, isTopologicallySorted: false });
    expect(await worker.store.findMissing([Digest.fromMessage(directory!.rootDirectoryDigest)])).toEqual([]);
  });

  test('paths are relative to the working directory, which is made when the inputs lack it', async () => {
    const { result } = await shell('pwd; printf 1 > o; printf 2 > a/b/o; mkdir -p p; touch p/q', {
      workingDirectory: 'w/d',
      outputPaths: ['', 'a/b/o', 'o'],
    });
    expect(Buffer.from(result!.stdoutRaw).toString()).toBe('/ingot/work/w/d\n');
    expect(result!.outputFiles.map(({ path }) => path)).toEqual(['a/b/o', 'o']);
    expect(result!.outputDirectories.map(({ path }) => path)).toEqual(['']);
  });

  test('an input, and a link to one, can be an output', async () => {
    const { result } = await shell(
      'mv in out; ln -s out l',
      { outputPaths: ['l', 'out'] },
      { inputs: { in: 'text' } },
    );
    expect(await text(result!.outputFiles[0]!.digest)).toBe('text');
    expect(result!.outputSymlinks[0]).toMatchObject({ path: 'l', target: 'out' });
  });

  test('times and modes are told when asked for', async () => {
    const { result } = await shell('touch -d @1000000000.5 f; chmod 640 f; mkdir d', {
      outputPaths: ['d', 'f'],
      outputNodeProperties: ['mtime', 'unix_mode', 'other'],
    });
    expect(result!.outputFiles[0]!.nodeProperties).toEqual({
      properties: [],
      mtime: { seconds: 1_000_000_000, nanos: 500_000_000 },
      unixMode: 0o640,
    });
  });

  test('inputs have the mode and time their node properties ask for, as copies of their own', async () => {
    const nodeProperties = { properties: [], mtime: { seconds: 1_234_567_890, nanos: 0 }, unixMode: 0o600 };
    const inputs = { f: { bytes: Buffer.from('x'), nodeProperties }, g: 'x' };
    expect(await worker.shell('stat -c "%a %Y %U" f g; echo y > f; cat f g', { inputs })).toBe(
      '600 1234567890 ingot\n444 946684800 nobody\ny\nx',
    );
  });

  test('what was written is kept of a command that fails', async () => {
    const { result, status, message } = await shell('echo out; echo err >&2; printf 1 > f; exit 3', {
      outputPaths: ['f'],
    });
    expect(status).toBeUndefined();
    expect(result!.exitCode).toBe(3);
    expect(message).toMatch(/^exited with code 3 \(worker w1, [0-9.]+ s, memory peak [0-9]+ MiB\)$/);
    expect(await text(result!.stdoutDigest)).toBe('out\n');
    expect(await text(result!.stderrDigest)).toBe('err\n');
    expect(await text(result!.outputFiles[0]!.digest)).toBe('1');
  });

  test('long output is stored and not inlined', async () => {
    const { result } = await shell('seq 1 10000', {});
    expect(result!.stdoutRaw).toHaveLength(0);
    expect(await text(result!.stdoutDigest)).toMatch(/^1\n2\n[0-9\n]*\n10000\n$/);
  });

  test.each([
    ['a FIFO', 'mkfifo out', '"out" is a FIFO'],
    ['eight FIFOs', 'mkdir out; for i in 1 2 3 4 5 6 7 8; do mkfifo out/$i; done', '"out/1" is a FIFO'],
    [
      'a socket',
      'perl -MIO::Socket::UNIX -e \'IO::Socket::UNIX->new(Local => "out", Listen => 1)\'',
      '"out" is a socket',
    ],
  ])('refuses %s', async (_, script, what) => {
    const { status, result } = await shell(script, { outputPaths: ['out'] });
    expect(status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `output ${what}, expected a file, a directory or a symbolic link`,
    });
    expect(result!.outputFiles).toEqual([]);
  });

  test('of a command that fails, outputs that cannot be kept hide neither exit code nor logs', async () => {
    const { status, result, message } = await shell('echo log; mkfifo out; exit 4', { outputPaths: ['out'] });
    expect(status).toBeUndefined();
    expect(result!.exitCode).toBe(4);
    expect(Buffer.from(result!.stdoutRaw).toString()).toBe('log\n');
    expect(message).toMatch(/; outputs were not kept: output "out" is a FIFO, /);
  });

  test.each([
    [
      'too many entries',
      'mkdir o; cd o; seq 201 | xargs touch',
      'outputs have more than 200 entries, the most that are kept',
    ],
    [
      'too many bytes',
      'mkdir o; for i in 1 2 3; do head -c 400000 /dev/zero > o/$i; done',
      'outputs have more than 1048576 bytes, the most that is kept (at "o")',
    ],
    [
      'a tree too deep',
      'p=o; for i in $(seq 21); do p=$p/d; done; mkdir -p $p',
      'output "o" is deeper than 20 directories, the most that is kept',
    ],
  ])('refuses %s', async (_, script, message) => {
    const { status } = await shell(script, { outputPaths: ['o'] });
    expect(status).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, message });
  });

  test('a sparse file larger than the limit cannot be made', async () => {
    const { result } = await shell('truncate -s 1T f || echo no', { outputPaths: ['f'] });
    expect(Buffer.from(result!.stdoutRaw).toString() + result!.exitCode).toMatch(/^(no\n0|[1-9][0-9]*)$/);
  });

  test('a name that is not UTF-8 is refused', async () => {
    const { status } = await shell('mkdir o; touch "o/$(printf \'\\377\')"', { outputPaths: ['o'] });
    expect(status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringMatching(/^output directory "o" has an entry whose name is not UTF-8: /),
    });
  });

  test('files and directories closed to everyone are collected all the same', async () => {
    const response = await shell('mkdir o; printf 1 > o/f; chmod 0 o/f o', { outputPaths: ['o'] });
    const { root } = await tree(response);
    expect(await text(root!.files[0]!.digest)).toBe('1');
  });

  test('no byte of the host gets into an output by a link (R26)', async () => {
    const links = { abs: { symlink: '/etc/shadow' }, up: { symlink: '../../../../etc/shadow' } };
    const read = await shell(
      'cat abs up; cp -L abs copy; true',
      { outputPaths: ['abs', 'copy', 'up'] },
      { inputs: links },
    );
    expect(Buffer.from(read.result!.stdoutRaw).toString()).toBe('');
    expect(read.result!.outputFiles).toEqual([]);
    expect(read.result!.outputSymlinks.map(({ target }) => target)).toEqual([
      '/etc/shadow',
      '../../../../etc/shadow',
    ]);

    const swapped = await shell('mkdir -p d && echo x > d/f && rm -r d && ln -s /etc d', {
      outputPaths: ['d/shadow'],
    });
    expect(swapped.status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'output "d/shadow": its parent "d" is a symbolic link, expected a directory',
    });
  });

  test('a daemon left behind is dead before outputs are looked at (R26)', async () => {
    const swap = 'while :; do ln -sf /etc/shadow g; mv -f g f; echo good > h; mv -f h f; done';
    const { result } = await shell(`setsid sh -c '${swap}' & sleep 0.1`, { outputPaths: ['f'] });
    for (const { digest } of result!.outputFiles) expect(await text(digest)).toBe('good\n');
    for (const { target } of result!.outputSymlinks) expect(target).toBe('/etc/shadow');
  });

  test('a parent of an output that is a link in the inputs is refused before the run', async () => {
    const { status, result } = await shell(
      'touch d/f',
      { outputPaths: ['d/f'] },
      { inputs: { d: { symlink: '/tmp' } } },
    );
    expect(result).toBeUndefined();
    expect(status).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringMatching(/^input "d" is a symlink, expected a directory: it leads to "d", /),
    });
  });
});
