import { expect, it } from 'vitest';
import { OpenReads } from '../../../cache/blobs/open-reads.ts';

it('lets a few readers read much at once, and thousands a little each', () => {
  const reads = new OpenReads();
  const chunkBytesOf = (readers: number) => {
    for (let begun = 0; begun < readers; begun++) reads.begin();
    const { chunkBytes } = reads;
    for (let ended = 0; ended < readers; ended++) reads.end();
    return chunkBytes;
  };
  const KIB = 1024;
  for (const [readers, chunkKib] of [
    [0, 1024],
    [16, 1024],
    [17, 512],
    [32, 512],
    [33, 128],
    [128, 128],
    [129, 32],
    [5000, 32],
  ] as const) {
    expect([readers, chunkBytesOf(readers) / KIB]).toEqual([readers, chunkKib]);
  }
});
