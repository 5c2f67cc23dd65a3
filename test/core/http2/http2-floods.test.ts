import { describe, expect, it } from 'vitest';
import {
  FrameClient,
  frame,
  literal,
  open,
  request,
  setting,
  startBare,
  TYPE,
  uint32,
} from '../../setup/frame-client.ts';

const CALM = 11;
const repeat = (count: number, make: (at: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => make(at)));

describe('Http2Connection, a client that means harm', () => {
  it('is ended when it opens streams only to reset them', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(
      repeat(1500, (at) =>
        Buffer.concat([open(at * 2 + 1, false), frame(TYPE.reset, 0, at * 2 + 1, uint32(8))]),
      ),
    );
    expect(await client.goAwayCode()).toBe(CALM);
    expect(server.errors[0]).toBe(
      'the client sends too many streams that come to nothing, the limit is 1000 at once and 100 a second',
    );
    expect(server.gone.length).toBeLessThan(1400);
  });

  it('is ended when it makes the server reset streams', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(
      repeat(1500, (at) =>
        Buffer.concat([open(at * 2 + 1, false), frame(TYPE.windowUpdate, 0, at * 2 + 1, uint32(0))]),
      ),
    );
    expect(await client.goAwayCode()).toBe(CALM);
  });

  const continuation = (count: number, payload: Buffer): Buffer =>
    Buffer.concat([
      frame(TYPE.headers, 0, 1, request()),
      repeat(count, () => frame(TYPE.continuation, 0, 1, payload)),
    ]);

  it.each([
    [
      'in too many frames',
      continuation(100, Buffer.alloc(0)),
      'a header block has 3 bytes in 17 frames, the limits are 8192 and 16',
    ],
    [
      'that are too long',
      continuation(15, literal('x', 'y'.repeat(2000))),
      'a header block has 10033 bytes in 6 frames, the limits are 8192 and 16',
    ],
  ])('is ended when its headers go on and on %s', async (_, frames, message) => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(frames);
    expect(await client.goAwayCode()).toBe(CALM);
    expect(server.errors[0]).toBe(message);
  });

  it('gets one stream reset for headers that HPACK makes large, and its connection lives', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false, Buffer.concat([request(), literal('bomb', 'x'.repeat(3900), 0x40)])));
    client.send(open(3, false, Buffer.concat([request(), Buffer.alloc(30_000, 0xbe)])));
    await client.settled();
    expect(client.resetCode(1)).toBeUndefined();
    expect(client.resetCode(3)).toBe(CALM);
  });

  it.each([
    ['SETTINGS', repeat(200, () => frame(TYPE.settings, 0, 0, setting(4, 5))), 'SETTINGS'],
    ['PINGs', repeat(2000, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))), 'frames that do nothing'],
    ['PRIORITY', repeat(2000, () => frame(TYPE.priority, 0, 1, Buffer.alloc(5))), 'frames that do nothing'],
    ['unknown frames', repeat(2000, () => frame(77, 0, 0)), 'frames that do nothing'],
    [
      'empty DATA',
      Buffer.concat([open(1, false), repeat(2000, () => frame(TYPE.data, 0, 1))]),
      'frames that do nothing',
    ],
    [
      'DATA for a stream that was reset',
      Buffer.concat([
        open(1, false, request(['A', 'b'])),
        repeat(2000, () => frame(TYPE.data, 0, 1, Buffer.alloc(1))),
      ]),
      'frames that do nothing',
    ],
  ])('is ended when it sends nothing but %s', async (_, frames, what) => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(frames);
    expect(await client.goAwayCode()).toBe(CALM);
    expect(server.errors[0]).toContain(`the client sends too many ${what}`);
  });

  it.each([
    ['of the connection', 0, 2 ** 31 - 1],
    ['by nothing', 0, 0],
  ])('is ended when it opens the window %s too far', async (_, stream, bytes) => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(frame(TYPE.windowUpdate, 0, stream, uint32(bytes)));
    expect(await client.goAwayCode()).toBe(bytes === 0 ? 1 : 3);
  });

  it('gets a stream reset whose window it opens too far, by WINDOW_UPDATE; by SETTINGS all end', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false), open(3, false), frame(TYPE.windowUpdate, 0, 1, uint32(2 ** 31 - 1)));
    await client.settled();
    expect(client.resetCode(1)).toBe(3);
    client.send(
      frame(TYPE.windowUpdate, 0, 3, uint32(2 ** 30)),
      frame(TYPE.settings, 0, 0, setting(4, 2 ** 31 - 1)),
    );
    expect(await client.goAwayCode()).toBe(3);
    expect(server.errors[0]).toBe('SETTINGS make the window of a stream too large');
  });

  it.each([
    ['SETTINGS cut short', frame(TYPE.settings, 0, 0, Buffer.alloc(5)), 6],
    ['an impossible window', frame(TYPE.settings, 0, 0, setting(4, 2 ** 31)), 3],
    ['an impossible frame size', frame(TYPE.settings, 0, 0, setting(5, 16_383)), 1],
    ['an impossible push', frame(TYPE.settings, 0, 0, setting(2, 2)), 1],
    ['a push', frame(TYPE.push, 0, 1, Buffer.alloc(4)), 1],
    ['DATA for no stream', frame(TYPE.data, 0, 0, Buffer.alloc(1)), 1],
    ['DATA for a stream never opened', frame(TYPE.data, 0, 5, Buffer.alloc(1)), 1],
    ['a stream of even number', open(2, false), 1],
    [
      'a stream number twice',
      Buffer.concat([open(3, false), frame(TYPE.reset, 0, 3, uint32(8)), open(1, false)]),
      5,
    ],
    ['HEADERS that are all padding', frame(TYPE.headers, 12, 1, Buffer.from([9, 0x83])), 1],
    ['a header block that is none', frame(TYPE.headers, 5, 1, Buffer.from([0xff, 0xff, 0xff])), 9],
    ['a CONTINUATION of nothing', frame(TYPE.continuation, 4, 1), 1],
    [
      'a frame within headers',
      Buffer.concat([frame(TYPE.headers, 0, 1, request()), frame(6, 0, 0, Buffer.alloc(8))]),
      1,
    ],
  ])('is ended for %s, with the code of HTTP/2', async (_, frames, code) => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(frames);
    expect(await client.goAwayCode()).toBe(code);
    expect(server.errors).toHaveLength(1);
  });

  it('is ended when its first frame is not SETTINGS', async () => {
    await using server = await startBare();
    using client = await FrameClient.silent(server.port);
    client.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(TYPE.ping, 0, 0, Buffer.alloc(8)));
    expect(await client.goAwayCode()).toBe(1);
    expect(server.errors).toEqual(['the first frame is not SETTINGS']);
  });
});
