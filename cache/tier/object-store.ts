import type { IoOptions } from '../../core/io-options.ts';

/** What is known of an object without its bytes. */
export interface ObjectFacts {
  readonly sizeBytes: number;
  /** Changes with the content. */
  readonly etag: string;
}

/** An object that is being read. It holds a connection until its bytes are read or left, or the signal aborts. */
export interface ObjectBody extends ObjectFacts {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Leaves bytes that nobody began to read. */
  close(): void;
}

/** Where a read of an object begins. */
export interface ObjectReadOptions extends IoOptions {
  /** First byte, inside the object. */
  readonly offset?: number;
  /** Only of the object that had this one: ABORTED when it was replaced. */
  readonly etag?: string;
}

/** The bytes of an object to be, which can be had again for another try, and in parts. */
export interface ObjectSource {
  readonly sizeBytes: number;
  /** Hex, where it is known beforehand: the object store then refuses other bytes. */
  readonly sha256?: string | undefined;
  /** From `offset` on, `limit` bytes; both undefined for all. */
  read(range: { readonly offset: number; readonly limit: number } | undefined): AsyncIterable<Uint8Array>;
}

/**
 * A store of named objects outside of this machine, as much of it as the tier needs: nothing is listed and nothing is
 * deleted. UNAVAILABLE when it does not answer in its time, FAILED_PRECONDITION when it refuses us.
 */
export interface ObjectStore {
  /** Size of the object, or undefined when absent. */
  head(key: string, options?: IoOptions): Promise<ObjectFacts | undefined>;
  /** The object from an offset on, or undefined when absent. Its bytes may break off with UNAVAILABLE. */
  get(key: string, options?: ObjectReadOptions): Promise<ObjectBody | undefined>;
  /** Puts an object in place of an older one; resolves when the object store has it. */
  put(key: string, source: ObjectSource, options?: IoOptions): Promise<void>;
}
