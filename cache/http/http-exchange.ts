import type { Caller } from '../../core/caller.ts';
import type { Digest } from '../../core/digest.ts';
import type { HttpTarget } from './http-target.ts';

/** A GET as the views see it. */
export interface HttpRead {
  readonly target: HttpTarget;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** A PUT as the views see it. */
export interface HttpWrite extends HttpRead {
  /** As the client said; undefined when it did not. */
  readonly contentBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** The answer to a GET: so many bytes, and where they come from. */
export interface HttpContent {
  readonly sizeBytes: number;
  readonly source: AsyncIterable<Uint8Array>;
}

/** One of the two key spaces of the HTTP cache. */
export interface HttpView {
  /** How large the value is, or undefined when there is none; for HEAD. */
  size(read: HttpRead): Promise<number | undefined>;
  /** The value, or undefined. */
  get(read: HttpRead): Promise<HttpContent | undefined>;
  /** Stores the value; resolves when it is durable. */
  put(write: HttpWrite): Promise<void>;
}

/** A blob as the answer to a GET. */
export function contentOf(digest: Digest, source: AsyncIterable<Uint8Array>): HttpContent {
  return { sizeBytes: digest.sizeBytes, source };
}
