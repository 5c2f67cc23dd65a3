import { Http2Error } from './http2-error.ts';
import type { Http2Limits } from './http2-limits.ts';
import { ErrorCode } from './protocol.ts';
import { type Rate, RateLimit } from './rate-limit.ts';

/** Counts what costs a client little and the server more; too much of it ends the connection (ENHANCE_YOUR_CALM). */
export class FloodGuard {
  readonly #resets: RateLimit;
  readonly #idleFrames: RateLimit;
  readonly #settings: RateLimit;
  readonly #limits: Http2Limits;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
    this.#resets = new RateLimit(limits.resets);
    this.#idleFrames = new RateLimit(limits.idleFrames);
    this.#settings = new RateLimit(limits.settings);
  }

  /** A stream that was opened for nothing. */
  countReset(): void {
    if (!this.#resets.take()) throw tooMany('streams that come to nothing', this.#limits.resets);
  }

  /** A frame that does nothing. */
  countIdleFrame(): void {
    if (!this.#idleFrames.take()) throw tooMany('frames that do nothing', this.#limits.idleFrames);
  }

  countSettings(): void {
    if (!this.#settings.take()) throw tooMany('SETTINGS', this.#limits.settings);
  }
}

function tooMany(what: string, { burst, perSecond }: Rate): Http2Error {
  const message = `the client sends too many ${what}, the limit is ${burst} at once and ${perSecond} a second`;
  return new Http2Error(ErrorCode.enhanceYourCalm, message);
}
