import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { Status } from '../../proto/gen/google/rpc/status.ts';

/** A gRPC message as bytes on the wire. */
export function wireMessage(message: Uint8Array, flags = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flags;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** What came back of a raw call. */
export interface RawAnswer {
  readonly httpStatus: number | undefined;
  readonly grpcStatus: string | undefined;
  readonly message: string | undefined;
  readonly details: Status | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  /** One HEADERS frame was both headers and trailers. */
  readonly trailersOnly: boolean;
  readonly body: Buffer;
  readonly rstCode: number | undefined;
}

/** One call of a {@link RawClient}: its HTTP/2 stream, to do to it what no gRPC client would. */
export class RawCall {
  readonly stream: ClientHttp2Stream;
  readonly answer: Promise<RawAnswer>;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    this.answer = this.#collect();
  }

  #collect(): Promise<RawAnswer> {
    const { promise, resolve } = Promise.withResolvers<RawAnswer>();
    let headers: Record<string, unknown> = {};
    let trailers: Record<string, unknown> | undefined;
    const body: Buffer[] = [];
    this.stream.on('response', (received) => {
      headers = { ...received };
    });
    this.stream.on('trailers', (received) => {
      trailers = { ...received };
    });
    this.stream.on('data', (chunk: Buffer) => body.push(chunk));
    this.stream.on('error', () => undefined);
    this.stream.on('close', () => {
      const status = trailers ?? headers;
      const detailsBin = status['grpc-status-details-bin'];
      const message = status['grpc-message'];
      resolve({
        httpStatus: headers[':status'] as number | undefined,
        grpcStatus: status['grpc-status'] as string | undefined,
        message: typeof message === 'string' ? decodeURIComponent(message) : undefined,
        details:
          typeof detailsBin === 'string' ? Status.decode(Buffer.from(detailsBin, 'base64')) : undefined,
        headers,
        trailersOnly: trailers === undefined,
        body: Buffer.concat(body),
        rstCode: this.stream.rstCode,
      });
    });
    return promise;
  }
}

/** Speaks gRPC frame by frame over node:http2, for what a well-behaved client cannot be made to do. */
export class RawClient implements Disposable {
  readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 });
    this.session.on('error', () => undefined);
  }

  /** Opens a call and leaves the sending to the test. */
  open(path: string, headers: OutgoingHttpHeaders = {}): RawCall {
    return new RawCall(
      this.session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      }),
    );
  }

  /** Sends a whole request and waits for the answer. */
  call(path: string, body: Buffer, headers: OutgoingHttpHeaders = {}): Promise<RawAnswer> {
    const call = this.open(path, headers);
    call.stream.end(body);
    return call.answer;
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }
}
