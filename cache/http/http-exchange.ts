import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '../../core/caller.ts';
import type { OpaqueListed } from '../actions/opaque-entries.ts';
import type { ByteRange } from '../blob-store.ts';
import type { EncodedBlob } from '../compression/compressed-forms.ts';
import type { HttpTarget } from './http-target.ts';

/** A GET or HEAD as the views see it. */
export interface HttpRead {
  readonly target: HttpTarget;
  readonly caller: Caller;
  readonly headers: IncomingHttpHeaders;
  readonly signal: AbortSignal;
}

/** A PUT as the views see it. */
export interface HttpWrite extends HttpRead {
  /** As the client said; undefined when it did not. */
  readonly contentBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** How the body is encoded; a view that does not know it is not asked. */
  readonly encoding?: 'zstd' | undefined;
}

/** What a name stands for: a value that is there, and how to get at its bytes. */
export interface HttpContent {
  readonly sizeBytes: number;
  /** Names these very bytes: their hash. What a client compares in If-None-Match and If-Range. */
  readonly entityTag: string;
  /** Default `application/octet-stream`. */
  readonly mediaType?: string;
  /** How the bytes are encoded, for Content-Encoding; undefined when they are as they are. */
  readonly encoding?: string;
  /** The bytes, or part of them; undefined when they are gone since the value was found. */
  open(range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** The whole of it compressed, where that pays, for clients that take it so. */
  openEncoded?(): Promise<EncodedBlob | undefined>;
}

/** How a PUT went, when it went well. */
export type HttpPutStatus = 200 | 201 | 204;

/** One of the key spaces of the HTTP cache. */
export interface HttpView {
  /** The value, or undefined; what is found counts as used. */
  find(read: HttpRead): Promise<HttpContent | undefined>;
  /** Stores the value; resolves, with the status to answer, when it is durable. */
  put(write: HttpWrite): Promise<HttpPutStatus>;
}

/** A key space with folders and an end to its values. */
export interface HttpFolderView extends HttpView {
  /** Removes a value; false when there is none. */
  remove(read: HttpRead): Promise<boolean>;
  /** What is right below the folder that the target names, in order; take no more than you need. */
  list(read: HttpRead): AsyncIterable<OpaqueListed>;
}
