import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeHeaders } from '../../core/http2/hpack-encoder.ts';
import type { Http2Connection } from '../../core/http2/http2-connection.ts';
import type { Http2Limits } from '../../core/http2/http2-limits.ts';
import { Http2Server, type Http2ServerDependencies } from '../../core/http2/http2-server.ts';
import type { Http2Stream } from '../../core/http2/http2-stream.ts';

/** A frame as it stands on the wire. */
export interface WireFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), uint32(value)]);
}

/** One header in HPACK, neither indexed nor compressed. */
export function literal(name: string, value: string, prefix = 0): Buffer {
  const text = (string: string): Buffer => {
    const length =
      string.length < 127
        ? [string.length]
        : [127, ((string.length - 127) & 127) | 128, (string.length - 127) >> 7];
    return Buffer.concat([Buffer.from(length), Buffer.from(string, 'latin1')]);
  };
  return Buffer.concat([Buffer.from([prefix]), text(name), text(value)]);
}

/** POST /, with these headers more. */
export function request(...more: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x84]),
    ...more.map(([name, value]) => literal(name, value)),
  ]);
}

/** A client that sends whatever frames it is told to, and shows those that come back. */
export class FrameClient implements Disposable {
  readonly socket: Socket;
  readonly frames: WireFrame[] = [];
  #unread: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk));
  }

  /** Connects and shakes hands; with settings of its own where a test gives some. */
  static async connect(port: number, settings: Buffer = Buffer.alloc(0)): Promise<FrameClient> {
    const client = await FrameClient.silent(port);
    client.send(Buffer.from(PREFACE), frame(TYPE.settings, 0, 0, settings), frame(TYPE.settings, 1, 0));
    return client;
  }

  /** Connects and says nothing. */
  static async silent(port: number): Promise<FrameClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new FrameClient(socket);
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  of(type: number): WireFrame[] {
    return this.frames.filter((each) => each.type === type);
  }

  /** Waits until all before has been taken, by a PING that comes back. */
  async settled(): Promise<void> {
    const count = this.of(TYPE.ping).length;
    this.send(frame(TYPE.ping, 0, 0, Buffer.alloc(8)));
    while (this.of(TYPE.ping).length === count) {
      if (this.socket.closed) throw new Error('the server closed the connection');
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
  }

  /** The code of the GOAWAY that the server closed the connection with. */
  async goAwayCode(): Promise<number | undefined> {
    if (!this.socket.closed) await once(this.socket, 'close');
    return this.of(TYPE.goAway).at(-1)?.payload.readUInt32BE(4);
  }

  /** The code a stream was reset with. */
  resetCode(stream: number): number | undefined {
    return this.of(TYPE.reset)
      .find((each) => each.stream === stream)
      ?.payload.readUInt32BE(0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #onChunk(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= 9) {
      const end = 9 + this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < end) return;
      this.frames.push({
        type: this.#unread[3] ?? -1,
        flags: this.#unread[4] ?? 0,
        stream: this.#unread.readUInt32BE(5),
        payload: this.#unread.subarray(9, end),
      });
      this.#unread = this.#unread.subarray(end);
    }
  }
}

/** A bare HTTP/2 server, and what it met. */
export interface BareServer extends AsyncDisposable {
  readonly port: number;
  readonly errors: string[];
  readonly connections: Http2Connection[];
  readonly streams: Http2Stream[];
  /** Streams that `onGone` was called for. */
  readonly gone: Http2Stream[];
  /** Payload of requests, by stream. */
  readonly received: Map<number, Buffer>;
}

const LIMITS: Http2Limits = {
  streamsMax: 100,
  headerBytesMax: 4096,
  firstWindowBytes: 100_000,
  wideWindowBytes: 100_000,
  wideStreamsMax: 100,
  connectionWindowBytes: 1_000_000,
  resets: { burst: 1000, perSecond: 100 },
  idleFrames: { burst: 1000, perSecond: 100 },
  settings: { burst: 100, perSecond: 10 },
};

/** Starts one whose streams are answered as told, once their request is whole. */
export async function startBare(
  answer: (stream: Http2Stream) => void = () => undefined,
  limits: Partial<Http2Limits> = {},
  more: Partial<Http2ServerDependencies> = {},
): Promise<BareServer> {
  const errors: string[] = [];
  const connections: Http2Connection[] = [];
  const streams: Http2Stream[] = [];
  const gone: Http2Stream[] = [];
  const received = new Map<number, Buffer>();
  const server = new Http2Server({
    limits: { ...LIMITS, ...limits },
    connectionsMax: 100,
    ...more,
    listener: {
      onConnection: (connection) => void connections.push(connection),
      onClose: () => undefined,
      onError: ({ message }) => void errors.push(message),
      onStream(stream) {
        streams.push(stream);
        stream.listener = {
          onData: (bytes, start, end) =>
            void received.set(
              stream.id,
              Buffer.concat([received.get(stream.id) ?? Buffer.alloc(0), bytes.subarray(start, end)]),
            ),
          onEnd: () => answer(stream),
          onGone: () => void gone.push(stream),
        };
      },
    },
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    ...{ port, errors, connections, streams, gone, received },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const connection of connections) connection.destroy();
    },
  };
}

export const END_STREAM = 1;
export const END_HEADERS = 4;
export const headers = encodeHeaders([[':status', '200']]);
export const trailers = encodeHeaders([['grpc-status', '0']]);

/** Answers a stream with these pieces. */
export const answerOf =
  (...parts: readonly Buffer[]) =>
  (stream: Http2Stream): void => {
    stream.respond(headers);
    stream.end(parts, trailers, { reset: false });
  };
/** HEADERS that begin a stream. */
export const open = (stream: number, endStream = true, block = request()): Buffer =>
  frame(TYPE.headers, END_HEADERS | (endStream ? END_STREAM : 0), stream, block);
/** What the payload of a stream was. */
export const dataOf = (client: FrameClient, stream: number): Buffer =>
  Buffer.concat(
    client
      .of(TYPE.data)
      .filter((each) => each.stream === stream)
      .map(({ payload }) => payload),
  );
