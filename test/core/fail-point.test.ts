import { describe, expect, it } from 'vitest';
import { noFailPoints, parseFailPoints } from '../../core/fail-point.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { thrown } from '../setup/rejection.ts';

const KNOWN = ['cas.after_write', 'ac.after_put'];

describe('parseFailPoints', () => {
  it('dies at the pass that was asked for, and at no other', () => {
    let deaths = 0;
    const points = parseFailPoints('cas.after_write:3, ac.after_put', KNOWN, () => {
      deaths += 1;
    });
    const seen: number[] = [];
    for (let pass = 0; pass < 5; pass += 1) {
      points.pass('cas.after_write');
      seen.push(deaths);
    }
    expect(seen).toEqual([0, 0, 1, 1, 1]);
    points.pass('cas.other');
    expect(deaths).toBe(1);
    points.pass('ac.after_put');
    expect(deaths).toBe(2);
  });

  it('is nothing when nothing, or nothing of this part, is asked for', () => {
    expect(parseFailPoints(undefined, KNOWN)).toBe(noFailPoints);
    expect(parseFailPoints('', KNOWN)).toBe(noFailPoints);
    expect(parseFailPoints('worker.after_start:2', KNOWN)).toBe(noFailPoints);
  });

  it('refuses what it does not understand', () => {
    expect(thrown(() => parseFailPoints('cas.after_wrote', KNOWN))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'fail point "cas.after_wrote" is not one of cas.after_write, ac.after_put',
    });
    for (const spec of ['after_write', 'cas.after_write:0', 'cas.after_write:x', 'cas.after_write,']) {
      expect(thrown(() => parseFailPoints(spec, KNOWN)).message, spec).toContain(
        'expected a name such as cas.after_write:3',
      );
    }
  });
});
