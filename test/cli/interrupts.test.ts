import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Interrupts } from '../../cli/interrupts.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

function start() {
  const source = new EventEmitter();
  const clock = { nowMs: 0 };
  let forced = 0;
  const interrupts = new Interrupts({ source, onForce: () => forced++, now: () => clock.nowMs });
  return { source, clock, interrupts, forced: () => forced };
}

describe('Interrupts', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('aborts at the first %s with CANCELLED', (name) => {
    const { source, interrupts } = start();
    expect(interrupts.signal.aborted).toBe(false);
    source.emit(name);
    expect(interrupts.signal.reason).toMatchObject({
      code: Code.CANCELLED,
      message: 'interrupted by a signal',
    });
  });

  it('takes signals within half a second for one, and a later one for impatience', () => {
    const { source, clock, forced } = start();
    source.emit('SIGINT');
    clock.nowMs = 499;
    source.emit('SIGINT');
    expect(forced()).toBe(0);
    clock.nowMs = 500;
    source.emit('SIGINT');
    expect(forced()).toBe(1);
  });

  it('leaves the process as it was when disposed', () => {
    const { source, interrupts } = start();
    interrupts[Symbol.dispose]();
    expect(source.eventNames()).toEqual([]);
  });
});
