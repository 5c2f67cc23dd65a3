import { describe, expect, it } from 'vitest';
import { OpenReads } from '../../../cache/blobs/open-reads.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

describe('reads of files under way', () => {
  it.each([
    [1, 1024],
    [9, 1024],
    [20, 512],
    [50, 256],
    [100, 128],
    [5000, 32],
  ])('that all go on, %i of them, mostly get %i KiB at once', (readers, chunkKib) => {
    const reads = new OpenReads();
    const open = Array.from({ length: readers }, () => reads.begin());
    for (let round = 0; round < 8; round += 1) for (const read of open) read.takeChunk();
    const chunks = open.map((read) => read.takeChunk() / KIB);
    expect(chunks.toSorted((a, b) => a - b)[Math.floor(readers / 2)]).toBe(chunkKib);
  });

  it('whose clients wait hold little, in whatever order they came', () => {
    const reads = new OpenReads();
    const held = Array.from({ length: 50 }, () => reads.begin().takeChunk());
    expect(held[0]).toBe(MIB);
    expect(held.at(-1)).toBe(128 * KIB);
    expect(sumOf(held)).toBeLessThan(18 * MIB);
  });

  it('leave what they held to those that come later', () => {
    const reads = new OpenReads();
    const open = Array.from({ length: 200 }, () => reads.begin());
    for (const read of open) read.takeChunk();
    for (const read of open) read[Symbol.dispose]();
    expect(reads.begin().takeChunk()).toBe(MIB);
  });
});
