import { expect, it } from 'vitest';
import { notFound } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import { diskFull, fileError } from '../../core/file-error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: it failed, write '/secret/path'`), { code });
}

it.each([
  ['ENOSPC', 'no space is left on the disk', [retryInfo(5000)]],
  ['EDQUOT', 'the disk quota is used up', [retryInfo(5000)]],
  ['EFBIG', 'the file is larger than the file system allows', []],
  ['EMFILE', 'too many files are open in this process', [retryInfo(1000)]],
  ['ENFILE', 'too many files are open on this machine', [retryInfo(1000)]],
])('%s is RESOURCE_EXHAUSTED, and says when to try again where that helps', (code, why, details) => {
  const cause = systemError(code);
  expect(fileError(cause, 'Write blob')).toMatchObject({
    code: Code.RESOURCE_EXHAUSTED,
    message: `Write blob: ${why}`,
    cause,
    details,
  });
});

it('a disk that is known to be full is the same', () => {
  const cause = new Error('IO error: No space left on device');
  expect(diskFull(cause, 'Write a record')).toMatchObject({
    code: Code.RESOURCE_EXHAUSTED,
    message: 'Write a record: no space is left on the disk',
    cause,
    details: [retryInfo(5000)],
  });
});

it('any other failure is INTERNAL, without the path', () => {
  expect(fileError(systemError('EIO'), 'Write blob')).toMatchObject({
    code: Code.INTERNAL,
    message: 'Write blob: the file system failed',
  });
});

it('leaves our own errors as they are', () => {
  const error = notFound('nothing');
  expect(fileError(error, 'Read blob')).toBe(error);
});
