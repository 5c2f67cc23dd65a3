import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeDataFolder } from '../../../cli/roles/make-data-folder.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../temp-folder.ts';

describe('makeDataFolder', () => {
  it('makes the folder and those above it, and is content with one that is there', async () => {
    const path = join(tempFolder(), 'a/b/c');
    await makeDataFolder(path);
    await makeDataFolder(path);
    expect(existsSync(path)).toBe(true);
  });

  it('refuses a path that is a file', async () => {
    const path = join(tempFolder(), 'file');
    writeFileSync(path, '');
    await expect(makeDataFolder(path)).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `make the data folder "${path}": "${path}" is not a directory`,
    });
  });

  it('refuses a folder that may not be written to', async () => {
    await expect(makeDataFolder('/proc')).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'write to the data folder "/proc": no such file or directory',
    });
  });

  it('refuses a path below a file', async () => {
    const path = join(tempFolder(), 'file');
    writeFileSync(path, '');
    await expect(makeDataFolder(`${path}/a/b`)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `make the data folder "${path}/a/b": a part of the path is not a directory`,
    });
  });

  it('ends, with an error, where a file system makes no folders', async () => {
    await expect(makeDataFolder('/proc/ingot/a')).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'make the data folder "/proc/ingot/a": no such file or directory',
    });
  });
});
