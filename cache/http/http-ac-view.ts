import { Digest } from '../../core/digest.ts';
import { permissionDenied } from '../../core/error.ts';
import { ByteBudget, ByteLoan } from '../../core/rpc/rpc-byte-budget.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  ActionResult,
  DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionKey } from '../action-cache.ts';
import { asActionResult } from '../actions/as-action-result.ts';
import { checkActionResult } from '../actions/check-action-result.ts';
import { ACTION_RESULT_BYTES_MAX } from '../actions/level-action-cache.ts';
import type { OpaqueEntries } from '../actions/opaque-entries.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import {
  contentOf,
  type HttpContent,
  type HttpRead,
  type HttpView,
  type HttpWrite,
} from './http-exchange.ts';
import type { HttpTarget } from './http-target.ts';

/** Bytes of values held in memory, over all PUTs, until it is clear whether they are action results. */
const BUFFERED_BYTES_MAX = 64 * 1024 * 1024;

/** What the /ac view depends on. */
export interface HttpAcViewDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly opaqueEntries: OpaqueEntries;
  readonly ingest: BlobIngest;
  readonly blobBytesMax: number;
  /** Clients may file values of their own. */
  readonly updateEnabled: boolean;
}

const SHA256 = DigestFunction_Value.SHA256;

/**
 * Values under /ac. Action results are those of the gRPC action cache, and as complete; anything else, such as
 * ccache files, is kept apart as an opaque entry. The newer of the two is what a GET finds.
 */
export class HttpAcView implements HttpView {
  readonly #dependencies: HttpAcViewDependencies;
  readonly #budget = new ByteBudget(BUFFERED_BYTES_MAX);

  constructor(dependencies: HttpAcViewDependencies) {
    this.#dependencies = dependencies;
  }

  async size(read: HttpRead): Promise<number | undefined> {
    const { opaqueEntries, storesOf } = this.#dependencies;
    const opaque = await opaqueEntries.get(read.target);
    const { blobStore } = storesOf(read.target.instanceName, read.caller);
    const isThere =
      opaque !== undefined && (await blobStore.findMissing([opaque], { signal: read.signal })).length === 0;
    return isThere ? opaque.sizeBytes : (await this.#result(read))?.byteLength;
  }

  async get(read: HttpRead): Promise<HttpContent | undefined> {
    const { opaqueEntries, storesOf } = this.#dependencies;
    const { target, caller, signal } = read;
    const { blobStore } = storesOf(target.instanceName, caller);
    const opaque = await opaqueEntries.get(target);
    if (opaque !== undefined) {
      const source = await blobStore.read(opaque, undefined, { signal });
      if (source !== undefined) return contentOf(opaque, source);
      await opaqueEntries.drop(target, opaque);
    }
    const bytes = await this.#result(read);
    return bytes === undefined ? undefined : { sizeBytes: bytes.byteLength, source: bytesOf(bytes) };
  }

  async put({ target, caller, contentBytes, body, signal }: HttpWrite): Promise<void> {
    const { storesOf, opaqueEntries, ingest, blobBytesMax, updateEnabled } = this.#dependencies;
    const { actionCache } = storesOf(target.instanceName, caller);
    if (!updateEnabled) throw permissionDenied('PUT below /ac is not open to clients of this cache');
    const pieces = body[Symbol.asyncIterator]();
    const loan = new ByteLoan(this.#budget);
    try {
      const head = await takeHead(pieces, contentBytes, loan);
      const result = head.isWhole ? asActionResult(Buffer.concat(head.chunks)) : undefined;
      const earlier = await opaqueEntries.get(target);
      if (result === undefined) {
        const source = joined(head.chunks, pieces);
        const digest = await ingest.ingest(source, {
          digestFunction: SHA256,
          bytesMax: blobBytesMax,
          signal,
        });
        await opaqueEntries.put(target, digest);
        return;
      }
      checkActionResult(result, SHA256);
      await actionCache.put(keyOf(target), result, { signal });
      if (earlier !== undefined) await opaqueEntries.drop(target, earlier);
    } finally {
      loan.close();
    }
  }

  async #result({ target, caller, signal }: HttpRead): Promise<Uint8Array | undefined> {
    const { actionCache } = this.#dependencies.storesOf(target.instanceName, caller);
    const result = await actionCache.get(keyOf(target), { signal });
    return result === undefined ? undefined : ActionResult.encode(result).finish();
  }
}

/** HTTP does not say how large the action is, and the action cache does not ask: the hash is the key. */
function keyOf({ instanceName, hash }: HttpTarget): ActionKey {
  return { instanceName, actionDigest: Digest.of(hash, 1, SHA256) };
}

interface Head {
  readonly chunks: Uint8Array[];
  /** Nothing follows. */
  readonly isWhole: boolean;
}

/** As much of a body as an action result could be. */
async function takeHead(
  pieces: AsyncIterator<Uint8Array, unknown>,
  contentBytes: number | undefined,
  loan: ByteLoan,
): Promise<Head> {
  const chunks: Uint8Array[] = [];
  if (contentBytes !== undefined && contentBytes > ACTION_RESULT_BYTES_MAX) return { chunks, isWhole: false };
  let sizeBytes = 0;
  while (sizeBytes <= ACTION_RESULT_BYTES_MAX) {
    const piece = await pieces.next();
    if (piece.done) return { chunks, isWhole: true };
    loan.take(piece.value.byteLength);
    sizeBytes += piece.value.byteLength;
    chunks.push(piece.value);
  }
  return { chunks, isWhole: false };
}

async function* joined(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array, unknown>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* head;
  yield* { [Symbol.asyncIterator]: () => rest } as AsyncIterable<Uint8Array>;
}
