import { describe, expect, it } from 'vitest';
import { UploadRoom } from '../../../cache/tier/upload-room.ts';
import { cancelled } from '../../../core/error.ts';

const settled = async (promise: Promise<void>) =>
  await Promise.race([promise.then(() => true), new Promise((resolve) => setTimeout(resolve, 10, false))]);

describe('UploadRoom', () => {
  it('lets in what fits by count and bytes, the rest in its order', async () => {
    const room = new UploadRoom({ uploadsMax: 2, bytesMax: 100 });
    await room.take(60);
    const large = room.take(50);
    const small = room.take(1);
    expect(await settled(large)).toBe(false);
    expect(await settled(small), 'not past the one before it').toBe(false);
    room.free(60);
    await Promise.all([large, small]);
    const third = room.take(1);
    expect(await settled(third)).toBe(false);
    room.free(1);
    await third;
    expect([room.uploads, room.bytes]).toEqual([2, 51]);
  });

  it('lets in one that is larger than all of it when nothing else is there', async () => {
    const room = new UploadRoom({ uploadsMax: 2, bytesMax: 100 });
    await room.take(1);
    const huge = room.take(1000);
    expect(await settled(huge)).toBe(false);
    room.free(1);
    await huge;
    expect(room.bytes).toBe(1000);
  });

  it('forgets one whose signal aborts, and lets in those behind it', async () => {
    const room = new UploadRoom({ uploadsMax: 10, bytesMax: 100 });
    await room.take(60);
    const controller = new AbortController();
    const leaving = room.take(50, { signal: controller.signal });
    const behind = room.take(40);
    controller.abort(cancelled('enough'));
    await expect(leaving).rejects.toMatchObject({ message: 'enough' });
    await behind;
    expect([room.uploads, room.bytes]).toEqual([2, 100]);
  });
});
