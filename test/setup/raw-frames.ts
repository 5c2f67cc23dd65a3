import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4 } as const;
const ACK = 1;
const END_HEADERS = 4;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** One header in HPACK, neither indexed nor compressed. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

/**
 * A client that sends HTTP/2 frames exactly as told, which node:http2 does not (its reset sends an END_STREAM first,
 * and it answers pings). It does not read what the server says.
 */
export class RawFrames implements Disposable {
  readonly socket: Socket;
  #lastStream = -1;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Connects, and shakes hands, so that the server's windows count. */
  static async connect(port: number): Promise<RawFrames> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    socket.on('error', () => undefined);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frame(FRAME.settings, 0, 0, Buffer.alloc(0)));
    await once(socket, 'data');
    socket.write(frame(FRAME.settings, ACK, 0, Buffer.alloc(0)));
    return new RawFrames(socket);
  }

  /** Begins a gRPC call and gives its stream. */
  open(path: string): number {
    this.#lastStream += 2;
    const headers = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'localhost'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ] as const;
    const block = Buffer.concat(headers.map(([name, value]) => literal(name, value)));
    this.socket.write(frame(FRAME.headers, END_HEADERS, this.#lastStream, block));
    return this.#lastStream;
  }

  /** Sends one DATA frame; flag 1 is END_STREAM. */
  data(stream: number, bytes: Buffer, flags = 0): void {
    this.socket.write(frame(FRAME.data, flags, stream, bytes));
  }

  reset(stream: number, code: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.socket.write(frame(FRAME.reset, 0, stream, payload));
  }

  /** Until the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, 'close');
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
