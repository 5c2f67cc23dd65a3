import { untilAborted } from './abort.ts';

/**
 * The same stream, which throws the signal's reason as soon as it aborts, even while the source keeps us waiting.
 * The source is then told to end, but not waited for.
 */
export async function* abortableSource<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), signal);
      if (next.done) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    if (!ended) endQuietly(iterator);
  }
}

function endQuietly<T>(iterator: AsyncIterator<T>): void {
  Promise.resolve(iterator.return?.()).catch(() => {
    // The source failed while it was being given up; whoever gave it up has the better reason.
  });
}
