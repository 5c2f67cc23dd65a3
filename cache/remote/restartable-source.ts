/** Bytes that can be had again from any offset; lets a broken upload go on, however much was lost. */
export interface RestartableSource extends AsyncIterable<Uint8Array> {
  /** The bytes from `offset` on. */
  restart(offset: number): AsyncIterable<Uint8Array>;
}

/** The bytes that `restart` gives. Hand it to `BlobStore.write` so that an upload survives a restart of the server. */
export function restartableSource(restart: (offset: number) => AsyncIterable<Uint8Array>): RestartableSource {
  return { restart, [Symbol.asyncIterator]: () => restart(0)[Symbol.asyncIterator]() };
}

/** True for a source that says it can be restarted. */
export function isRestartable(source: AsyncIterable<Uint8Array>): source is RestartableSource {
  return 'restart' in source && typeof source.restart === 'function';
}
