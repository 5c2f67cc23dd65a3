import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findProgram, findPrograms, withSystemFolders } from '../../../cli/toolchain/find-program.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { delay } from '../../../core/abort.ts';
import { cancelled } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { writeProgram } from './fake-cuda.ts';

const options = { environment: { PATH: process.env.PATH }, timeoutMs: 10_000 };

describe('runProgram', () => {
  it('returns both outputs and any exit code, and passes only the environment given', async () => {
    const script = 'echo out; echo "$A-$HOME" >&2; exit 7';
    const result = await runProgram(['sh', '-c', script], {
      ...options,
      environment: { PATH: process.env.PATH, A: 'a' },
    });
    expect(result).toEqual({ exitCode: 7, stdout: 'out\n', stderr: 'a-\n' });
  });

  it('runs in the folder named', async () => {
    await using folder = await tempFolder();
    expect((await runProgram(['pwd'], { ...options, folder: folder.path })).stdout).toBe(`${folder.path}\n`);
  });

  it('keeps the end of a long output', async () => {
    const { stdout } = await runProgram(['sh', '-c', 'yes | head -c 600000; echo end'], options);
    expect(stdout).toHaveLength(256 * 1024);
    expect(stdout).toMatch(/y\nend\n$/);
  });

  it('has no exit code for a program ended by a signal', async () => {
    expect((await runProgram(['sh', '-c', 'kill -9 $$'], options)).exitCode).toBeUndefined();
  });

  it('says that there is no such program', async () => {
    const error = await rejection(runProgram(['no-such-program'], options));
    expect(error.code).toBe(Code.NOT_FOUND);
    expect(error.message).toBe('run no-such-program: no such program');
  });

  it('says that a file may not be run', async () => {
    const error = await rejection(runProgram(['/etc/passwd'], options));
    expect(error.code).toBe(Code.PERMISSION_DENIED);
    expect(error.message).toBe('run /etc/passwd: not allowed');
  });

  it('ends a program that takes too long', async () => {
    const error = await rejection(runProgram(['sleep', '30'], { ...options, timeoutMs: 50 }));
    expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
    expect(error.message).toBe('run sleep: not finished within 50 ms');
  });

  it('ends what the program started, too, when it is aborted', async () => {
    await using folder = await tempFolder();
    const controller = new AbortController();
    const running = runProgram(['sh', '-c', 'sleep 30 & echo $! > pid; wait'], {
      ...options,
      folder: folder.path,
      signal: controller.signal,
    });
    let pid = '';
    while (pid === '') {
      await delay(10);
      pid = (await readFile(join(folder.path, 'pid'), 'utf8').catch(() => '')).trim();
    }
    controller.abort(cancelled('enough'));
    expect((await rejection(running)).message).toBe('enough');
    // Between its end and its parent's wait it is a zombie of the init process.
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone');
    expect(state).toMatch(/gone|\) Z /);
  });

  it('does not start a program for a signal that has aborted', async () => {
    await using folder = await tempFolder();
    const signal = AbortSignal.abort(cancelled('before'));
    const error = await rejection(runProgram(['touch', 'made'], { ...options, folder: folder.path, signal }));
    expect(error.message).toBe('before');
    await expect(readFile(join(folder.path, 'made'))).rejects.toThrow('ENOENT');
  });
});

describe('findProgram', () => {
  it('finds executable files in the order of PATH', async () => {
    await using folder = await tempFolder();
    const [a, b] = [join(folder.path, 'a', 'tool'), join(folder.path, 'b', 'tool')];
    await writeProgram(a, '');
    await writeProgram(b, '');
    const path = `${folder.path}/b::${folder.path}/none:${folder.path}/a:${folder.path}/b`;
    expect(await findPrograms('tool', path)).toEqual([b, a]);
    expect(await findProgram('tool', path)).toBe(b);
  });

  it('finds no folder, no plain file and nothing without a PATH', async () => {
    await using folder = await tempFolder();
    await writeProgram(join(folder.path, 'tool', 'x'), '');
    expect(await findProgram('tool', folder.path)).toBeUndefined();
    expect(await findProgram('passwd', '/etc')).toBeUndefined();
    expect(await findProgram('sh', undefined)).toBeUndefined();
  });

  it('can look where administration tools are', () => {
    expect(withSystemFolders('/bin')).toBe('/bin:/usr/local/sbin:/usr/sbin:/sbin');
    expect(withSystemFolders(undefined)).toBe('/usr/local/sbin:/usr/sbin:/sbin');
  });
});
