import { Http2Error } from './http2-error.ts';
import { HEADER_FRAMES_MAX } from './http2-limits.ts';
import { ErrorCode } from './protocol.ts';

/** A header block that comes in several frames. Throws ENHANCE_YOUR_CALM when it is too long or cut too fine. */
export class HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly #bytesMax: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(streamId: number, endStream: boolean, bytesMax: number) {
    this.streamId = streamId;
    this.endStream = endStream;
    this.#bytesMax = bytesMax;
  }

  /** Keeps a copy. */
  add(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    if (this.#bytes > this.#bytesMax || this.#parts.length > HEADER_FRAMES_MAX) {
      throw new Http2Error(
        ErrorCode.enhanceYourCalm,
        `a header block has ${this.#bytes} bytes in ${this.#parts.length} frames, the limits are ${this.#bytesMax} and ${HEADER_FRAMES_MAX}`,
      );
    }
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts, this.#bytes);
  }
}
