import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Http2Stream } from '../../../core/http2/http2-stream.ts';
import {
  answerOf,
  dataOf,
  END_HEADERS,
  END_STREAM,
  FrameClient,
  frame,
  headers,
  literal,
  open,
  request,
  setting,
  startBare,
  TYPE,
  trailers,
  uint32,
} from '../../setup/frame-client.ts';

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
