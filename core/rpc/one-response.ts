/**
 * The answer of a method with a response stream that is one message and is here already; it goes out together with its
 * status. A handler returns it where it would else have returned a generator that yields once.
 */
export class OneResponse<T> implements AsyncIterable<T> {
  readonly message: T;

  constructor(message: T) {
    this.message = message;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    yield this.message;
  }
}
