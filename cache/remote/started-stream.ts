/**
 * Reads the first chunk of a stream, so that what is wrong from the start is thrown here and not later, and returns
 * the whole stream, chunk included. Leaving the result leaves the source.
 */
export async function startedStream(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = source[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  const stream: AsyncIterableIterator<Uint8Array> = {
    async next() {
      const result = first ?? (await iterator.next());
      first = undefined;
      return result;
    },
    async return() {
      first = undefined;
      await iterator.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => stream,
  };
  return stream;
}
