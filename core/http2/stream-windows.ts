import type { Http2Limits } from './http2-limits.ts';

/**
 * The receive windows of all streams of a server. A stream begins with a small one; it gets a wide one when it is read, while
 * not too many have it. So what clients may send to handlers that do not read is little, however many they are.
 */
export class StreamWindows {
  readonly firstBytes: number;
  readonly wideBytes: number;
  readonly #wideMax: number;
  #wide = 0;

  constructor(limits: Pick<Http2Limits, 'firstWindowBytes' | 'wideWindowBytes' | 'wideStreamsMax'>) {
    this.firstBytes = limits.firstWindowBytes;
    this.wideBytes = limits.wideWindowBytes;
    this.#wideMax = limits.wideStreamsMax;
  }

  /** Whether one more stream may have a wide window, which is then to be given back. */
  widen(): boolean {
    if (this.#wide >= this.#wideMax) return false;
    this.#wide++;
    return true;
  }

  narrow(): void {
    this.#wide--;
  }
}
