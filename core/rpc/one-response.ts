/**
 * The answer of a method with a response stream that is one message and is here already; it goes out together with its
 * status. A handler returns it where it would else have returned a generator that yields once.
 */
export class OneResponse<T> implements AsyncIterable<T> {
  readonly message: T;
  /** See {@link SentResponses}. */
  readonly onSent: (() => void) | undefined;

  constructor(message: T, options: { readonly onSent?: (() => void) | undefined } = {}) {
    this.message = message;
    this.onSent = options.onSent;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    yield this.message;
  }
}

/** Responses of which their maker wants to know when their memory may serve again. */
export interface SentResponses<T> extends AsyncIterator<T, undefined> {
  /** The message is with the system. Not called of each: not when the call broke. */
  sent(message: T): void;
}
