import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { constants, createZstdDecompress, type ZstdOptions, zstdDecompress } from 'node:zlib';
import { invalidArgument } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf, WholeBytes } from '../../core/streams.ts';
import type { CodecBudget } from './codec-budget.ts';
import { WINDOW_LOG_MAX } from './zstd-format.ts';
import { ZstdFrameCheck, type ZstdFrameOwner } from './zstd-frame-check.ts';

/** Bytes of one read of the decompressor. */
const CHUNK_BYTES = 128 * 1024;
const NOT_SOUND = 'the bytes that arrived are not one sound zstd frame';

const decoderOptions: ZstdOptions = {
  chunkSize: CHUNK_BYTES,
  params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
};
const decompress = promisify(zstdDecompress);

/** How to decompress. */
export interface DecompressOptions extends IoOptions {
  readonly owner: ZstdFrameOwner;
  readonly budget: CodecBudget;
}

/**
 * What a zstd frame from a client holds; in memory in one piece when the frame is. INVALID_ARGUMENT when it is not
 * exactly one sound frame (see {@link ZstdFrameCheck}), or holds more than the blob has, at the first byte too many.
 */
export async function decompressedBytes(
  frame: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): Promise<AsyncIterable<Uint8Array>> {
  return frame instanceof WholeBytes
    ? bytesOf(await ofWhole(frame.bytes, options.owner))
    : ofStream(frame, options);
}

async function* ofStream(
  source: AsyncIterable<Uint8Array>,
  { owner, budget, signal }: DecompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { attempt, sizeBytes } = owner;
  const check = new ZstdFrameCheck(owner);
  const frame = checked(source, check);
  try {
    const head = await takeHeader(frame, check);
    using _permit = await budget.decompressor(check.header?.windowBytes ?? 0, { signal });
    const decoder = createZstdDecompress(decoderOptions);
    // What goes wrong with it destroys the decoder, and so comes to its reader below.
    pipeline(joined(head, frame), decoder).catch(() => undefined);
    let seenBytes = 0;
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
      seenBytes += chunk.byteLength;
      if (seenBytes > sizeBytes) throw invalidArgument(`${attempt}: more than ${sizeBytes} bytes arrived`);
      yield chunk;
    }
  } catch (error) {
    throw isZstdError(error) ? invalidArgument(`${attempt}: ${NOT_SOUND}: ${error.message}`) : error;
  } finally {
    // Not waited for: its source may keep it waiting, and whoever has that ends it.
    frame.return().catch(() => undefined);
  }
}

async function ofWhole(frame: Uint8Array, owner: ZstdFrameOwner): Promise<Buffer> {
  const { attempt, sizeBytes } = owner;
  const check = new ZstdFrameCheck(owner);
  check.push(frame);
  check.end();
  try {
    // One byte more lets a frame that holds more be told from one that holds as much; 0 would mean no limit.
    return await decompress(frame, { ...decoderOptions, maxOutputLength: sizeBytes + 1 });
  } catch (error) {
    if (isTooLarge(error)) throw invalidArgument(`${attempt}: more than ${sizeBytes} bytes arrived`);
    throw isZstdError(error) ? invalidArgument(`${attempt}: ${NOT_SOUND}: ${error.message}`) : error;
  }
}

async function* checked(
  source: AsyncIterable<Uint8Array>,
  check: ZstdFrameCheck,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    check.push(chunk);
    yield chunk;
  }
  check.end();
}

/** Reads on until the header is known; the bytes read for it. */
async function takeHeader(frame: AsyncIterator<Uint8Array>, check: ZstdFrameCheck): Promise<Uint8Array[]> {
  const head: Uint8Array[] = [];
  while (check.header === undefined) {
    const { done, value } = await frame.next();
    if (done) break;
    head.push(value);
  }
  return head;
}

async function* joined(
  head: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* head;
  yield* rest;
}

function isZstdError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(?:ZSTD_|Z_)/.test(String(error.code));
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
