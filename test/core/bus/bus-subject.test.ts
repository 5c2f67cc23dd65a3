import { expect, test } from 'vitest';
import { checkSubject, checkSubjectPattern, subjectMatches } from '../../../core/bus/bus-subject.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';

test.for([
  ['a', 'a', true],
  ['a', 'b', false],
  ['a', 'a.b', false],
  ['a.b', 'a', false],
  ['*', 'a', true],
  ['*', 'a.b', false],
  ['worker.*.offer', 'worker.x.offer', true],
  ['worker.*.offer', 'worker.x.cancel', false],
  ['*.*', 'a.b', true],
  ['a.*', 'a.*', true],
] as const)('%s matches %s: %s', ([pattern, subject, expected]) => {
  expect(subjectMatches(pattern, subject)).toBe(expected);
});

test('takes words of printable ASCII', () => {
  for (const subject of ['a', 'worker.host-1_2.offer', 'x'.repeat(512), 'a!b.c%2Fd:8980']) {
    expect(() => checkSubject(subject)).not.toThrow();
  }
  expect(() => checkSubjectPattern('worker.*.offer')).not.toThrow();
});

test.for([
  ['', 'bus subject "": "" is not a word'],
  ['a..b', 'bus subject "a..b": "" is not a word'],
  ['a.b c', 'bus subject "a.b c": "b c" is not a word'],
  ['a.>', 'bus subject "a.>": ">" is not a word'],
  ['a.x*', 'bus subject "a.x*": "x*" is not a word'],
  ['a.\u007f', 'bus subject "a.\\u007f": "\\u007f" is not a word'],
] as const)('refuses %j', ([subject, message]) => {
  for (const check of [checkSubject, checkSubjectPattern]) {
    expect(thrown(() => check(subject))).toMatchObject({ code: Code.INVALID_ARGUMENT, message });
  }
});

test('refuses a star in a subject to send to', () => {
  expect(thrown(() => checkSubject('a.*')).message).toBe('bus subject "a.*": "*" is not a word');
});
