import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  answerOf,
  dataOf,
  END_STREAM,
  FrameClient,
  frame,
  open,
  setting,
  startBare,
  TYPE,
  uint32,
} from '../../setup/frame-client.ts';

describe("Http2Connection, sending in its client's windows", () => {
  it('sends no more than the windows of the stream and of the connection', async () => {
    const body = Buffer.from('0123456789'.repeat(7000));
    await using server = await startBare(answerOf(body));
    using client = await FrameClient.connect(server.port, setting(4, 10));
    client.send(open(1));
    await client.settled();
    expect(dataOf(client, 1)).toEqual(body.subarray(0, 10));
    client.send(frame(TYPE.windowUpdate, 0, 1, uint32(100_000)));
    await client.settled();
    await expect.poll(() => dataOf(client, 1).equals(body.subarray(0, 65_535))).toBe(true);
    client.send(frame(TYPE.windowUpdate, 0, 0, uint32(1)));
    await expect.poll(() => dataOf(client, 1).length).toBe(65_536);
    client.send(frame(TYPE.windowUpdate, 0, 0, uint32(10_000)));
    await expect.poll(() => client.of(TYPE.headers)).toHaveLength(2);
    expect(dataOf(client, 1).equals(body)).toBe(true);
    expect(client.of(TYPE.data).every(({ payload }) => payload.length <= 16_384)).toBe(true);
  });

  it('follows SETTINGS that change the windows of open streams, below zero as well', async () => {
    await using server = await startBare(answerOf(Buffer.alloc(100)));
    using client = await FrameClient.connect(server.port, setting(4, 30));
    client.send(open(1));
    await client.settled();
    client.send(frame(TYPE.settings, 0, 0, setting(4, 20)));
    client.send(frame(TYPE.windowUpdate, 0, 1, uint32(10)));
    await client.settled();
    expect(dataOf(client, 1)).toHaveLength(30);
    client.send(frame(TYPE.settings, 0, 0, setting(4, 90)));
    await expect.poll(() => dataOf(client, 1).length).toBe(100);
  });
});

describe('Http2Connection, the windows it opens', () => {
  it('opens the window of a stream again only while it is not paused, and resets it when its client ignores that', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    const send = async (stream: number, count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent++) client.send(frame(TYPE.data, 0, stream, Buffer.alloc(60_000)));
      await client.settled();
    };
    client.send(open(1, false));
    await send(1, 3);
    expect(server.received.get(1)).toHaveLength(180_000);
    server.streams[0]?.pause();
    await send(1, 1);
    expect(client.resetCode(1)).toBeUndefined();
    server.streams[0]?.resume();
    await send(1, 1);
    expect(client.resetCode(1)).toBeUndefined();
    server.streams[0]?.pause();
    await send(1, 2);
    expect(client.resetCode(1)).toBe(3);
    expect(server.gone).toHaveLength(1);
  });

  it('ends the connection of a client that ignores its window', async () => {
    await using server = await startBare(undefined, {
      connectionWindowBytes: 65_535,
      firstWindowBytes: 2 ** 20,
    });
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false), frame(TYPE.data, 0, 1, Buffer.alloc(60_000)).subarray(0, 30_000));
    await sleep(20);
    client.socket.destroy();
    using greedy = await FrameClient.connect(server.port);
    greedy.send(open(1, false), frame(TYPE.data, 0, 1, Buffer.alloc(65_536)));
    expect(await greedy.goAwayCode()).toBe(3);
    expect(server.errors.at(-1)).toBe('the client sends more than the window of the connection');
  });

  it('opens the window of a stream wide when it is read, and of so many at once', async () => {
    await using server = await startBare(undefined, { wideWindowBytes: 400_000, wideStreamsMax: 1 });
    using client = await FrameClient.connect(server.port);
    using other = await FrameClient.connect(server.port);
    const send = async (from: FrameClient, stream: number, flags = 0): Promise<void> => {
      from.send(frame(TYPE.data, flags, stream, Buffer.alloc(60_000)));
      await from.settled();
    };
    const updates = (to: FrameClient, stream: number) =>
      to
        .of(TYPE.windowUpdate)
        .flatMap((each) => (each.stream === stream ? each.payload.readUInt32BE(0) : []));
    client.send(open(1, false), open(3, false));
    other.send(open(1, false));
    await send(client, 1);
    await send(client, 3);
    await send(other, 1);
    expect([updates(client, 1), updates(client, 3), updates(other, 1)]).toEqual([
      [360_000],
      [60_000],
      [60_000],
    ]);
    await send(client, 1, END_STREAM);
    await send(other, 1);
    await send(client, 3);
    expect([updates(other, 1), updates(client, 3)]).toEqual([
      [60_000, 360_000],
      [60_000, 60_000],
    ]);
    // What is lost with its connection is given back as well.
    other.socket.destroy();
    await expect.poll(() => server.gone).toHaveLength(1);
    await send(client, 3);
    expect(updates(client, 3).at(-1)).toBe(360_000);
    expect(server.streams.map(({ windowBytes }) => windowBytes)).toEqual([400_000, 400_000, 400_000]);
  });

  it('knows what may still come on a stream, in the midst of a frame as well', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    const padded = Buffer.concat([Buffer.from([50]), Buffer.alloc(30_000), Buffer.alloc(50)]);
    client.send(open(1, false), frame(TYPE.data, 8, 1, padded));
    await client.settled();
    const [stream] = server.streams;
    expect(stream?.receiveWindow).toBe(100_000 - padded.length);
    const whole = frame(TYPE.data, 0, 1, Buffer.alloc(10_000));
    client.send(whole.subarray(0, 9 + 4000));
    await expect.poll(() => stream?.receiveWindow).toBe(100_000 - padded.length - 4000);
    client.send(whole.subarray(9 + 4000));
    await client.settled();
    expect(stream?.receiveWindow).toBe(100_000 - padded.length - 10_000);
  });
});
