import { execFileSync } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isRestartable } from '../../../cache/remote/restartable-source.ts';
import { Digest } from '../../../core/digest.ts';
import { collectBytes } from '../../../core/streams.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { outputFileBlob } from '../../../worker/output/output-file.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

const SHA256 = DigestFunction_Value.SHA256;

describe('outputFileBlob', () => {
  test.each([0, 1, 65_536, 65_537, 3_000_000])('hashes and reads a file of %i bytes', async (size) => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'f');
    const bytes = Buffer.alloc(size, 'abc');
    await writeFile(path, bytes);
    const blob = await outputFileBlob(path, size, SHA256);
    expect(blob.digest.key).toBe(Digest.ofBytes(bytes).key);
    for (const _time of [1, 2]) {
      const read = await collectBytes(blob.open(), { bytesMax: size, what: 'blob' });
      expect(read.equals(bytes)).toBe(true);
    }
  });

  test('an upload of it may be taken up anywhere', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'f');
    const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => index % 251));
    await writeFile(path, bytes);
    const source = (await outputFileBlob(path, bytes.length, SHA256)).open();
    if (!isRestartable(source)) throw new Error('it cannot be restarted');
    for (const offset of [0, 1, 1_234_567, 2_999_999, 3_000_000]) {
      const read = await collectBytes(source.restart(offset), { bytesMax: bytes.length, what: 'blob' });
      expect(read.equals(bytes.subarray(offset))).toBe(true);
    }
  });

  test.each([10, 100_000])('a file that is not as it was seen (%i bytes) is an error', async (size) => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'f');
    await writeFile(path, 'other');
    expect(await rejection(outputFileBlob(path, size, SHA256))).toMatchObject({
      code: Code.INTERNAL,
      message: `read output: the file has changed, expected ${size} bytes`,
    });
  });

  test.each([10, 100_000])('neither follows a link nor waits for a FIFO (%i bytes)', async (size) => {
    await using folder = await tempFolder();
    await symlink('/etc/passwd', join(folder.path, 'link'));
    execFileSync('mkfifo', [join(folder.path, 'fifo')]);
    const link = await rejection(outputFileBlob(join(folder.path, 'link'), size, SHA256));
    expect(link.message).toMatch(/^read output: ELOOP: /);
    const fifo = await rejection(outputFileBlob(join(folder.path, 'fifo'), size, SHA256));
    expect(fifo.message).toBe(`read output: the file has changed, expected ${size} bytes`);
  });
});
