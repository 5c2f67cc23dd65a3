import { describe, expect, it } from 'vitest';
import { MessageMemory } from '../../core/message-memory.ts';

describe('MessageMemory', () => {
  it('uses memory again once it is given back, by whatever part of it', () => {
    const memory = new MessageMemory();
    const first = memory.take(65_700);
    memory.giveBack(first.subarray(100, 200));
    expect(memory.freeBytes).toBe(first.buffer.byteLength);
    const second = memory.take(66_000);
    expect(second.buffer).toBe(first.buffer);
    expect(second).toHaveLength(66_000);
    expect(memory.freeBytes).toBe(0);
  });

  it('never gives memory to two that hold it', () => {
    const memory = new MessageMemory();
    const held = Array.from({ length: 20 }, () => memory.take(20_000));
    memory.giveBack(held[3]!);
    memory.giveBack(held[3]!);
    const more = [memory.take(20_000), memory.take(20_000)];
    const buffers = [...held.toSpliced(3, 1), ...more].map(({ buffer }) => buffer);
    expect(new Set(buffers).size).toBe(21);
  });

  it('leaves alone what is not its own', () => {
    const memory = new MessageMemory();
    memory.giveBack(Buffer.alloc(100_000));
    memory.giveBack(new MessageMemory().take(100_000));
    memory.giveBack(memory.take(100));
    memory.giveBack(memory.take(100_000_000));
    expect(memory.freeBytes).toBe(0);
  });

  it('wastes no more than a ninth of a piece, and keeps no more than its limit', () => {
    const memory = new MessageMemory();
    for (let bytes = 8192; bytes < 4_000_000; bytes = Math.ceil(bytes * 1.037)) {
      expect(memory.take(bytes).buffer.byteLength / bytes).toBeLessThanOrEqual(1.125);
    }
    const pieces = Array.from({ length: 80 }, () => memory.take(1024 * 1024));
    for (const piece of pieces) memory.giveBack(piece);
    expect(memory.freeBytes).toBe(64 * 1024 * 1024);
  });

  it('lets go of sizes that were asked for once, for those that are now', () => {
    const memory = new MessageMemory();
    const small = Array.from({ length: 1200 }, () => memory.take(64 * 1024));
    for (const piece of small) memory.giveBack(piece);
    const large = memory.take(1024 * 1024);
    memory.giveBack(large);
    expect(memory.take(1024 * 1024).buffer).toBe(large.buffer);
    expect(memory.freeBytes).toBe(63 * 1024 * 1024);
  });
});
