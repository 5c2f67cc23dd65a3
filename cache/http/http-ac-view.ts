import { Digest } from '../../core/digest.ts';

import { ByteBudget } from '../../core/rpc/rpc-byte-budget.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  ActionResult,
  DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionKey } from '../action-cache.ts';
import { asActionResult } from '../actions/as-action-result.ts';
import { checkActionResult } from '../actions/check-action-result.ts';
import { checkUpdateEnabled } from '../actions/check-update-enabled.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import { BodyHead } from './body-head.ts';
import type { HttpContent, HttpPutStatus, HttpRead, HttpView, HttpWrite } from './http-exchange.ts';
import type { HttpTarget } from './http-target.ts';
import type { OpaqueValues } from './opaque-values.ts';

/** Bytes of values held in memory, over all PUTs, until it is clear whether they are action results. */
const BUFFERED_BYTES_MAX = 64 * 1024 * 1024;

/** What the /ac view depends on. */
export interface HttpAcViewDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly opaqueValues: OpaqueValues;
  /** Clients may file values of their own. */
  readonly updateEnabled: boolean;
}

const SHA256 = DigestFunction_Value.SHA256;
const JSON_TYPE = 'application/json';

/**
 * Values under /ac. Action results are those of the gRPC action cache, and as complete; anything else, such as
 * ccache files, is kept apart as an opaque value. The newer of the two is what a GET finds. To a client that accepts
 * JSON, an action result is shown in that form.
 */
export class HttpAcView implements HttpView {
  readonly #dependencies: HttpAcViewDependencies;
  readonly #budget = new ByteBudget(BUFFERED_BYTES_MAX);

  constructor(dependencies: HttpAcViewDependencies) {
    this.#dependencies = dependencies;
  }

  async find(read: HttpRead): Promise<HttpContent | undefined> {
    const { opaqueValues, storesOf } = this.#dependencies;
    const { target, caller, signal } = read;
    const opaque = await opaqueValues.find(read);
    if (opaque !== undefined) return opaque;
    const { actionCache } = storesOf(target.instanceName, caller);
    const result = await actionCache.get(keyOf(target), { signal });
    if (result === undefined) return undefined;
    return read.headers.accept === JSON_TYPE
      ? contentOf(Buffer.from(JSON.stringify(ActionResult.toJSON(result), undefined, 2)), JSON_TYPE)
      : contentOf(ActionResult.encode(result).finish());
  }

  async put(write: HttpWrite): Promise<HttpPutStatus> {
    const { storesOf, opaqueValues, updateEnabled } = this.#dependencies;
    const { target, caller, signal } = write;
    const { actionCache } = storesOf(target.instanceName, caller);
    checkUpdateEnabled('PUT below /ac', updateEnabled);
    using head = await BodyHead.take(write, this.#budget);
    const { whole } = head;
    const result = whole === undefined ? undefined : asActionResult(whole);
    if (result === undefined) {
      await opaqueValues.put(write, head);
      return 200;
    }
    const earlier = await opaqueValues.digestOf(write);
    checkActionResult(result, SHA256);
    await actionCache.put(keyOf(target), result, { signal });
    if (earlier !== undefined) await opaqueValues.drop(write, earlier);
    return 200;
  }
}

function contentOf(bytes: Uint8Array, mediaType?: string): HttpContent {
  return {
    sizeBytes: bytes.byteLength,
    entityTag: Digest.ofBytes(bytes, SHA256).hash,
    ...(mediaType !== undefined && { mediaType }),
    open: async ({ offset, limit = bytes.byteLength } = { offset: 0 }) =>
      bytesOf(bytes.subarray(offset, offset + limit)),
  };
}

/** HTTP does not say how large the action is, and the action cache does not ask: the hash is the key. */
function keyOf({ instanceName, name }: HttpTarget): ActionKey {
  return { instanceName, actionDigest: Digest.of(name, 1, SHA256) };
}
