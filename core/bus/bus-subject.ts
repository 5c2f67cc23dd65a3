import { invalidArgument } from '../error.ts';
import { quote } from '../quote.ts';

/** Longest subject; NATS allows more, our own are under 100. */
const SUBJECT_CHARACTERS_MAX = 512;

/** Printable ASCII without the dot, the wildcards and white space: safe in any implementation. */
const WORD = /^[!-)+\-/-=?-~]+$/;

/** INVALID_ARGUMENT unless it is words between dots, as one publishes to. */
export function checkSubject(subject: string): void {
  check(subject, false);
}

/** As {@link checkSubject}, but a word may be `*`, as one subscribes to. */
export function checkSubjectPattern(pattern: string): void {
  check(pattern, true);
}

/** True when a message to `subject` reaches a subscription to `pattern`. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const expected = pattern.split('.');
  const words = subject.split('.');
  return (
    expected.length === words.length && expected.every((word, index) => word === '*' || word === words[index])
  );
}

function check(subject: string, wildcards: boolean): void {
  if (subject.length > SUBJECT_CHARACTERS_MAX) {
    throw invalidArgument(
      `bus subject ${quote(subject)} is longer than ${SUBJECT_CHARACTERS_MAX} characters`,
    );
  }
  for (const word of subject.split('.')) {
    if (WORD.test(word) || (wildcards && word === '*')) continue;
    throw invalidArgument(`bus subject ${quote(subject)}: ${quote(word)} is not a word`);
  }
}
