import { expect, it } from 'vitest';
import { DiskRoom } from '../../../cache/disk/disk-room.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';

it('counts what others have on the disk, and evicts for it', async () => {
  let storedBytes = 700;
  const targets: number[] = [];
  const room = new DiskRoom({
    limitBytes: 1000,
    lowWaterBytes: 900,
    storedBytes: () => storedBytes,
    besideBytes: () => 300,
    async evictTo(bytes) {
      targets.push(bytes);
      storedBytes = Math.min(storedBytes, bytes);
    },
  });
  using _reserved = await room.reserve(200, 'it');
  expect(targets).toContain(500);
  expect(storedBytes).toBe(500);
  storedBytes = 0;
  expect(await rejection(room.reserve(600, 'more'))).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
});
