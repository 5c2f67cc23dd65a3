import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareUtf8 } from '../../core/utf8-order.ts';

test('orders well-formed strings as their UTF-8 bytes', () => {
  // Characters around the places where UTF-16 and UTF-8 disagree, mixed with any others.
  const unit = fc.oneof(
    fc.constantFrom(
      '',
      'a',
      '\u007f',
      '\u0080',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{1f9f1}',
      '\u{10ffff}',
    ),
    fc.integer({ min: 0, max: 0x10ffff }).map((point) => String.fromCodePoint(point).toWellFormed()),
  );
  const text = fc.array(unit, { maxLength: 6 }).map((units) => units.join(''));
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 500 },
  );
});

test('differs from the order of JavaScript where it must', () => {
  expect('\u{1f9f1}' < '\uffff').toBe(true);
  expect(compareUtf8('\u{1f9f1}', '\uffff')).toBeGreaterThan(0);
});
