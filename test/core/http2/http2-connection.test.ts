import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { encodeHeaders } from '../../../core/http2/hpack-encoder.ts';
import type { Http2Stream } from '../../../core/http2/http2-stream.ts';
import {
  FrameClient,
  frame,
  literal,
  request,
  setting,
  startBare,
  TYPE,
  uint32,
} from '../../setup/frame-client.ts';

const END_STREAM = 1;
const END_HEADERS = 4;
const headers = encodeHeaders([[':status', '200']]);
const trailers = encodeHeaders([['grpc-status', '0']]);

const answerOf =
  (...parts: readonly Buffer[]) =>
  (stream: Http2Stream): void => {
    stream.respond(headers);
    stream.end(parts, trailers, { reset: false });
  };
const open = (stream: number, endStream = true, block = request()): Buffer =>
  frame(TYPE.headers, END_HEADERS | (endStream ? END_STREAM : 0), stream, block);
const dataOf = (client: FrameClient, stream: number): Buffer =>
  Buffer.concat(
    client
      .of(TYPE.data)
      .filter((each) => each.stream === stream)
      .map(({ payload }) => payload),
  );

describe('Http2Connection, answering', () => {
  it('sends all answers of one turn in one piece', async () => {
    await using server = await startBare(answerOf(Buffer.from('hello')));
    using client = await FrameClient.connect(server.port);
    await client.settled();
    let chunks = 0;
    client.socket.on('data', () => chunks++);
    client.send(...Array.from({ length: 20 }, (_, at) => open(at * 2 + 1)));
    await expect.poll(() => client.of(TYPE.headers).length).toBe(40);
    expect(chunks).toBe(1);
    expect(dataOf(client, 39)).toEqual(Buffer.from('hello'));
    expect(client.of(TYPE.headers).at(-1)).toMatchObject({ flags: END_STREAM | END_HEADERS, stream: 39 });
  });

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

  it('gives each stream a frame in turn', async () => {
    await using server = await startBare(answerOf(Buffer.alloc(100_000)));
    using client = await FrameClient.connect(server.port, setting(4, 1_000_000));
    client.send(open(1), open(3), open(5));
    await client.settled();
    const early = client.of(TYPE.data).length;
    client.send(frame(TYPE.windowUpdate, 0, 0, uint32(1_000_000)));
    await expect.poll(() => client.of(TYPE.headers).length).toBe(6);
    const order = client
      .of(TYPE.data)
      .slice(early, early + 9)
      .map(({ stream }) => stream);
    expect([...new Set(order.slice(0, 3))]).toHaveLength(3);
    expect(order.slice(3, 6)).toEqual(order.slice(0, 3));
    for (const stream of [1, 3, 5]) expect(dataOf(client, stream)).toHaveLength(100_000);
  });

  it('holds a writer back whose client does not read, and lets it go on when it does', async () => {
    let written = 0;
    const answer = async (stream: Http2Stream): Promise<void> => {
      stream.respond(headers);
      for (; written < 1000 && !stream.closed; written++) {
        await stream.turn(64 * 1024);
        stream.write([Buffer.alloc(64 * 1024)]);
      }
      stream.end([], trailers, { reset: false });
    };
    await using server = await startBare((stream) => void answer(stream));
    using client = await FrameClient.connect(server.port, setting(4, 2 ** 31 - 1));
    client.send(frame(TYPE.windowUpdate, 0, 0, uint32(2 ** 30)));
    client.socket.pause();
    client.send(open(1));
    await sleep(200);
    const before = written;
    expect(before).toBeLessThan(300);
    await sleep(50);
    expect(written).toBe(before);
    client.socket.resume();
    await expect.poll(() => client.of(TYPE.headers).length, { timeout: 5000 }).toBe(2);
    expect(dataOf(client, 1)).toHaveLength(1000 * 64 * 1024);
  });

  it('does not read from a client that asks and asks and never reads', async () => {
    await using server = await startBare(answerOf(Buffer.alloc(10)), {
      idleFrames: { burst: 1e9, perSecond: 1 },
    });
    using client = await FrameClient.connect(server.port);
    await client.settled();
    client.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 4000 }, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))));
    for (let sent = 0; sent < 400; sent++) client.send(pings);
    const [connection] = server.connections;
    const bytesRead = (): number => connection?.bytesRead ?? 0;
    const readDuring = async (ms: number): Promise<number> => {
      const before = bytesRead();
      await sleep(ms);
      return bytesRead() - before;
    };
    await expect.poll(async () => await readDuring(200), { timeout: 10_000 }).toBe(0);
    const stalledAt = bytesRead();
    expect(stalledAt).toBeLessThan(400 * pings.length);
    client.socket.resume();
    await expect.poll(bytesRead, { timeout: 10_000 }).toBeGreaterThan(stalledAt);
  });
});

describe('Http2Connection, telling when memory may serve again', () => {
  const PIECE = 200_000;

  /** A server that answers with one piece, and how often it heard that the piece is sent. */
  async function startTelling(window: number) {
    const told: Http2Stream[] = [];
    const server = await startBare((stream) => {
      stream.respond(headers);
      stream.write([Buffer.alloc(10), Buffer.alloc(PIECE, 7)], () => told.push(stream));
    });
    const client = await FrameClient.connect(server.port, setting(4, window));
    client.send(frame(TYPE.windowUpdate, 0, 0, uint32(2 ** 30)));
    client.send(open(1));
    await client.settled();
    return { server, client, told };
  }

  it('does so once all of a piece is with the system', async () => {
    const { server, client, told } = await startTelling(2 ** 30);
    await using _server = server;
    using _client = client;
    await expect.poll(() => told.length).toBe(1);
    await expect.poll(() => dataOf(client, 1).length).toBe(PIECE + 10);
  });

  it('does not while some waits for a window, nor when that is given up', async () => {
    const { server, client, told } = await startTelling(PIECE - 5);
    await using _server = server;
    using _client = client;
    await expect.poll(() => dataOf(client, 1).length).toBe(PIECE - 5);
    expect(told).toEqual([]);
    client.send(frame(TYPE.reset, 0, 1, uint32(8)));
    await client.settled();
    expect(told).toEqual([]);
  });

  it('does not of a piece that was cut short for a slow client, whose memory went another way', async () => {
    const { server, client, told } = await startTelling(PIECE - 5);
    await using _server = server;
    using _client = client;
    client.send(frame(TYPE.windowUpdate, 0, 1, uint32(100_000)));
    await expect.poll(() => dataOf(client, 1).length).toBe(PIECE + 10);
    await client.settled();
    expect(told).toEqual([]);
  });
});

describe('Http2Connection, receiving', () => {
  it('keeps its own copy of what two clients send by halves into one buffer', async () => {
    const filler = 'x'.repeat(300);
    await using server = await startBare();
    const clients = await Promise.all([FrameClient.connect(server.port), FrameClient.connect(server.port)]);
    const halves = clients.map((_, at) => {
      const block = request(['x-who', `${at}${filler}`]);
      const sent = Buffer.concat([
        frame(TYPE.headers, 0, 1, block.subarray(0, 100)),
        frame(TYPE.continuation, END_HEADERS, 1, block.subarray(100)),
        frame(TYPE.data, END_STREAM, 1, Buffer.from(`${at}`.repeat(1000))),
      ]);
      return [sent.subarray(0, 150), sent.subarray(150)] as const;
    });
    for (const half of [0, 1] as const) {
      clients.forEach((client, at) => {
        client.send(halves[at]![half]);
      });
      if (half === 0) await sleep(50);
    }
    await expect.poll(() => server.streams.filter(({ requestEnded }) => requestEnded).length).toBe(2);
    const values = server.streams.map((stream) => stream.headers.get('x-who'));
    expect(values.toSorted()).toEqual([`0${filler}`, `1${filler}`]);
    for (const client of clients) client[Symbol.dispose]();
  });

  it('gives the payload without its padding, and opens the windows again by all of it', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false));
    const payload = Buffer.concat([Buffer.from([200]), Buffer.from('ab'), Buffer.alloc(200)]);
    for (let sent = 0; sent < 250; sent++) client.send(frame(TYPE.data, 8, 1, payload));
    await client.settled();
    expect(server.received.get(1)).toEqual(Buffer.from('ab'.repeat(250)));
    const [more] = client.of(TYPE.windowUpdate).filter(({ stream }) => stream === 1);
    expect(more?.payload.readUInt32BE(0)).toBeGreaterThanOrEqual(50_000);
  });

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
      streamWindowBytes: 2 ** 20,
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

  it('tells a stream that its client has reset it, or that the connection is lost', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false), open(3, false), frame(TYPE.reset, 0, 1, uint32(8)));
    await client.settled();
    expect(server.gone.map(({ id, goneCode }) => [id, goneCode])).toEqual([[1, 8]]);
    client.socket.end();
    await expect
      .poll(() => server.gone.map(({ id, goneCode }) => [id, goneCode]))
      .toEqual([
        [1, 8],
        [3, 'lost'],
      ]);
  });

  it('ignores what comes for a stream that it has reset, and counts it in the window', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false, request(['Upper', 'case'])));
    for (let sent = 0; sent < 20; sent++) client.send(frame(TYPE.data, 0, 1, Buffer.alloc(40_000)));
    client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, literal('x', 'y')));
    await client.settled();
    expect(client.of(TYPE.reset)).toHaveLength(1);
    expect(client.resetCode(1)).toBe(1);
    expect(client.of(TYPE.windowUpdate).filter(({ stream }) => stream === 0)).not.toEqual([]);
  });

  it('answers bytes on a stream that is over with STREAM_CLOSED', async () => {
    await using server = await startBare(answerOf());
    using client = await FrameClient.connect(server.port);
    client.send(open(1), frame(TYPE.data, 0, 1, Buffer.alloc(10)));
    await client.settled();
    expect(client.resetCode(1)).toBe(5);
  });

  it('refuses streams over its limit, and only those', async () => {
    await using server = await startBare(undefined, { streamsMax: 2 });
    using client = await FrameClient.connect(server.port);
    client.send(open(1), open(3), open(5), frame(TYPE.reset, 0, 1, uint32(8)), open(7));
    await client.settled();
    expect(client.of(TYPE.reset).map(({ stream }) => stream)).toEqual([5]);
    expect(client.resetCode(5)).toBe(7);
  });

  it('tells the client of smaller windows, and counts by them from its acknowledgement on', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.send(open(1, false));
    await client.settled();
    const [connection] = server.connections;
    expect(connection?.setStreamWindow(1000)).toBe(true);
    expect(connection?.setStreamWindow(2000)).toBe(false);
    client.send(frame(TYPE.data, 0, 1, Buffer.alloc(40_000)));
    await client.settled();
    client.send(frame(TYPE.settings, 1, 0), open(3, false), frame(TYPE.data, 0, 3, Buffer.alloc(1001)));
    await client.settled();
    expect(client.of(TYPE.settings).map(({ payload }) => payload.toString('hex'))).toContain('0004000003e8');
    expect(client.resetCode(1)).toBeUndefined();
    expect(client.resetCode(3)).toBe(3);
    expect(connection?.streamWindowBytes).toBe(1000);
  });
});

describe('Http2Connection, closing', () => {
  it('sends GOAWAY, finishes what runs, drops what comes later, and ends', async () => {
    let release = (): void => undefined;
    await using server = await startBare((stream) => {
      release = () => answerOf(Buffer.from('late'))(stream);
    });
    using client = await FrameClient.connect(server.port);
    client.send(open(1));
    await client.settled();
    server.connections[0]?.close();
    client.send(open(3), frame(TYPE.reset, 0, 3, uint32(8)));
    await client.settled();
    expect(client.of(TYPE.goAway).map(({ payload }) => payload.toString('hex'))).toEqual([
      '0000000100000000',
    ]);
    release();
    expect(await client.goAwayCode()).toBe(0);
    expect(dataOf(client, 1)).toEqual(Buffer.from('late'));
    expect(client.of(TYPE.reset)).toEqual([]);
  });

  it('ends at once when nothing runs', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    await client.settled();
    server.connections[0]?.close();
    expect(await client.goAwayCode()).toBe(0);
    await expect.poll(() => server.connections[0]?.closed).toBe(true);
  });

  it('does not wait long for a client that does not close after its GOAWAY', async () => {
    await using server = await startBare();
    using client = await FrameClient.connect(server.port);
    client.socket.allowHalfOpen = true;
    await client.settled();
    server.connections[0]?.close();
    await once(client.socket, 'end');
    const startMs = performance.now();
    await expect.poll(() => server.connections[0]?.closed, { timeout: 3000 }).toBe(true);
    expect(performance.now() - startMs).toBeLessThan(2000);
  });
});
