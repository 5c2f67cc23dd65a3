import { connect, type Socket } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const FLAG_END_STREAM = 1;
const FLAG_ACK = 1;
const FLAG_END_HEADERS = 4;
const SETTING_INITIAL_WINDOW_SIZE = 4;
const FRAME_HEADER_BYTES = 9;
const WINDOW_MAX = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
const SETTING_MAX_FRAME_SIZE = 5;
const DEFAULT_MAX_FRAME_BYTES = 16_384;
const WINDOW_REFILL_BYTES = 2 ** 24;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, FRAME_HEADER_BYTES);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function headersOf(path: string): [string, string][] {
  return [
    [':authority', 'localhost'],
    [':path', path],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['user-agent', 'ingot-bench'],
    ['grpc-accept-encoding', 'identity,deflate,gzip'],
  ];
}

/** HPACK: `:method POST` and `:scheme http` are in the static table; the rest enters the dynamic one. */
function firstBlock(path: string): Buffer {
  const literals = headersOf(path).map(([name, value]) =>
    Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]),
  );
  return Buffer.concat([Buffer.from([0x83, 0x86]), ...literals]);
}

/** The same headers by their numbers in the dynamic table, as every real client sends them from its second call on. */
function laterBlock(path: string): Buffer {
  const first = 62;
  return Buffer.from([
    0x83,
    0x86,
    ...headersOf(path).map((_, at) => 0x80 | (first + headersOf(path).length - 1 - at)),
  ]);
}

/** Puts the gRPC header before a message. */
export function grpcMessage(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0]), uint32(message.length), message]);
}

interface OpenStream {
  window: number;
  dataBytes: number;
  readonly onEnd: (dataBytes: number) => void;
  readonly onWindow: () => void;
}

/**
 * A gRPC client of as few instructions as can be, calling one method over one connection, so that a bench on two
 * cores measures the server and not its client. It reads no status: check a call with a real client first.
 */
export class WireClient {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #streams = new Map<number, OpenStream>();
  #nextStream = 1;
  #pending: Buffer[] = [];
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #frameBytesMax = DEFAULT_MAX_FRAME_BYTES;
  #unread: Buffer = Buffer.alloc(0);
  #toRefill = 0;

  constructor(port: number, path: string) {
    this.#path = path;
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const settings = Buffer.concat([Buffer.from([0, SETTING_INITIAL_WINDOW_SIZE]), uint32(WINDOW_MAX)]);
    this.#queue(PREFACE);
    this.#queue(frame(FRAME.settings, 0, 0, settings));
    this.#queue(frame(FRAME.windowUpdate, 0, 0, uint32(WINDOW_MAX - DEFAULT_WINDOW)));
    this.#socket.on('data', (chunk) => this.#onData(chunk));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Calls with a whole request, and gives the bytes of the response's DATA frames. */
  call(request: Buffer): Promise<number> {
    return new Promise((resolve) => {
      const id = this.#open({ onEnd: resolve, onWindow: () => undefined });
      this.#window -= request.length;
      this.#queue(frame(FRAME.data, FLAG_END_STREAM, id, request));
      this.#flushSoon();
    });
  }

  /** Calls with `count` times this request message, as fast as the server's windows allow. */
  upload(request: Buffer, count: number): Promise<number> {
    return new Promise((resolve) => {
      let sent = 0;
      const total = request.length * count;
      const send = (): void => {
        const stream = this.#streams.get(id);
        while (stream !== undefined && sent < total) {
          const offset = sent % request.length;
          const bytes = Math.min(this.#frameBytesMax, request.length - offset, this.#window, stream.window);
          if (bytes <= 0) break;
          sent += bytes;
          this.#window -= bytes;
          stream.window -= bytes;
          const flags = sent === total ? FLAG_END_STREAM : 0;
          this.#queue(frame(FRAME.data, flags, id, request.subarray(offset, offset + bytes)));
        }
        this.#flushSoon();
      };
      const id = this.#open({ onEnd: resolve, onWindow: send });
      send();
    });
  }

  #open(handlers: Pick<OpenStream, 'onEnd' | 'onWindow'>): number {
    const id = this.#nextStream;
    this.#nextStream += 2;
    this.#streams.set(id, { window: this.#initialWindow, dataBytes: 0, ...handlers });
    const block = id === 1 ? firstBlock(this.#path) : laterBlock(this.#path);
    this.#queue(frame(FRAME.headers, FLAG_END_HEADERS, id, block));
    return id;
  }

  #queue(bytes: Buffer): void {
    this.#pending.push(bytes);
  }

  #flushSoon(): void {
    if (this.#pending.length > 0) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#socket.write(bytes);
  }

  #onData(chunk: Buffer): void {
    let bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      this.#onFrame(
        bytes[3] ?? 0,
        bytes[4] ?? 0,
        bytes.readUInt32BE(5),
        bytes.subarray(FRAME_HEADER_BYTES, end),
      );
      bytes = bytes.subarray(end);
    }
    this.#unread = bytes;
    if (this.#toRefill > WINDOW_REFILL_BYTES) {
      this.#queue(frame(FRAME.windowUpdate, 0, 0, uint32(this.#toRefill)));
      this.#toRefill = 0;
    }
    this.#flush();
  }

  #onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    if (type === FRAME.data && stream !== undefined) {
      stream.dataBytes += payload.length;
      this.#toRefill += payload.length;
    }
    if (type === FRAME.settings && (flags & FLAG_ACK) === 0) this.#onSettings(payload);
    if (type === FRAME.ping && (flags & FLAG_ACK) === 0) this.#queue(frame(FRAME.ping, FLAG_ACK, 0, payload));
    if (type === FRAME.windowUpdate) this.#onWindow(id, payload.readUInt32BE(0));
    if (type === FRAME.goaway) throw new Error('the server sent GOAWAY');
    if ((type === FRAME.data || type === FRAME.headers) && (flags & FLAG_END_STREAM) !== 0) {
      this.#streams.delete(id);
      stream?.onEnd(stream.dataBytes);
    }
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      if (payload.readUInt16BE(at) === SETTING_MAX_FRAME_SIZE) this.#frameBytesMax = value;
      if (payload.readUInt16BE(at) !== SETTING_INITIAL_WINDOW_SIZE) continue;
      const grown = value - this.#initialWindow;
      this.#initialWindow += grown;
      for (const stream of this.#streams.values()) stream.window += grown;
    }
    this.#queue(frame(FRAME.settings, FLAG_ACK, 0, Buffer.alloc(0)));
    for (const stream of this.#streams.values()) stream.onWindow();
  }

  #onWindow(id: number, bytes: number): void {
    const stream = this.#streams.get(id);
    if (id === 0) this.#window += bytes;
    else if (stream !== undefined) stream.window += bytes;
    for (const open of id === 0 ? this.#streams.values() : stream === undefined ? [] : [stream])
      open.onWindow();
  }
}
