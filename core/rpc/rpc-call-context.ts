import type { RequestMetadata } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { type Caller, nobody } from '../caller.ts';
import { cancelled, type IngotError } from '../error.ts';
import type { RequestHeaders } from '../http2/request-headers.ts';
import { parseRequestMetadata, REQUEST_METADATA_HEADER } from './rpc-request-metadata.ts';
import type { CallContext } from './rpc-service.ts';

/** Why a signal aborts when all went well. One for all calls: an error's stack costs as much as a tenth of a call. */
const CALL_IS_OVER = cancelled('the call is over');

/** What a {@link ServerCallContext} is made of. */
export interface ServerCallContextOptions {
  readonly headers: RequestHeaders;
  readonly deadlineMs: number | undefined;
  readonly peer: string;
}

/** The context of a served call. Most handlers look at little of it, so each part is made when first asked for. */
export class ServerCallContext implements CallContext {
  readonly deadlineMs: number | undefined;
  readonly peer: string;
  /** Set before the handler runs. */
  caller: Caller = nobody;
  readonly #headers: RequestHeaders;
  #controller: AbortController | undefined;
  #over = false;
  #reason: IngotError | undefined;
  #metadata: ReadonlyMap<string, string> | undefined;
  #requestMetadata: RequestMetadata | undefined;
  #isRequestMetadataRead = false;

  constructor({ headers, deadlineMs, peer }: ServerCallContextOptions) {
    this.#headers = headers;
    this.deadlineMs = deadlineMs;
    this.peer = peer;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(this.#reason ?? CALL_IS_OVER);
    }
    return this.#controller.signal;
  }

  throwIfAborted(): void {
    if (this.#over) throw this.#reason ?? CALL_IS_OVER;
  }

  get metadata(): ReadonlyMap<string, string> {
    this.#metadata ??= metadataOf(this.#headers);
    return this.#metadata;
  }

  get requestMetadata(): RequestMetadata | undefined {
    // Once, also when there is none or it is malformed: a store asks for each blob of a batch.
    if (!this.#isRequestMetadataRead) {
      this.#isRequestMetadataRead = true;
      this.#requestMetadata = parseRequestMetadata(this.#headers.get(REQUEST_METADATA_HEADER));
    }
    return this.#requestMetadata;
  }

  get invocationId(): string | undefined {
    return this.requestMetadata?.toolInvocationId || undefined;
  }

  /** Aborts the signal, with CANCELLED when all went well. The first time counts. */
  end(reason: IngotError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#reason = reason;
    this.#controller?.abort(reason ?? CALL_IS_OVER);
  }
}

function metadataOf(headers: RequestHeaders): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const { name, value } of headers.fields) {
    if (name.startsWith(':')) continue;
    const before = metadata.get(name);
    metadata.set(name, before === undefined ? value : `${before},${value}`);
  }
  return metadata;
}
