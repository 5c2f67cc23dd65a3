import { expect, it } from 'vitest';
import { notFound } from '../../core/error.ts';
import { fileError } from '../../core/file-error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: it failed, write '/secret/path'`), { code });
}

it.each([
  ['ENOSPC', 'no space is left on the disk'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EFBIG', 'the file is larger than the file system allows'],
  ['EMFILE', 'too many files are open in this process'],
  ['ENFILE', 'too many files are open on this machine'],
])('%s is RESOURCE_EXHAUSTED', (code, why) => {
  const cause = systemError(code);
  expect(fileError(cause, 'Write blob')).toMatchObject({
    code: Code.RESOURCE_EXHAUSTED,
    message: `Write blob: ${why}`,
    cause,
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
