import { expect, test } from 'vitest';
import { quote } from '../../core/quote.ts';

test.for([
  ['plain', '"plain"'],
  ['', '""'],
  ['a "b" \\', '"a \\"b\\" \\\\"'],
  ['a\nb\t\u001b[2J', '"a\\nb\\t\\u001b[2J"'],
  ['\u007f\u009b\u2028', '"\\u007f\\u009b\\u2028"'],
  ['\ud800', '"\ufffd"'],
  ['ü\u{1f9f1}', '"ü\u{1f9f1}"'],
  ['x'.repeat(100), `"${'x'.repeat(100)}"`],
  ['x'.repeat(101), `"${'x'.repeat(100)}"… (101 characters)`],
] as const)('%j', ([text, expected]) => {
  expect(quote(text)).toBe(expected);
});
