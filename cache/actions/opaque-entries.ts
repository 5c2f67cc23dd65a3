import type { Digest } from '../../core/digest.ts';

/** What an opaque entry is filed under: a name the client made up. */
export interface OpaqueKey {
  readonly instanceName: string;
  /** Has no NUL in it. */
  readonly name: string;
}

/** What a folder of names holds: a value, or a folder again, whose name ends in a slash. */
export interface OpaqueListed {
  /** Below the folder. */
  readonly name: string;
  /** Undefined for a folder. */
  readonly digest: Digest | undefined;
}

/**
 * Values that HTTP clients such as ccache and sccache file and that are no action results. The bytes are in the blob
 * store; here is which blob it is. gRPC clients never see them.
 */
export interface OpaqueEntries {
  /** The blob, or undefined. */
  get(key: OpaqueKey): Promise<Digest | undefined>;
  /** Files a blob in place of an older one; resolves when it is durable. */
  put(key: OpaqueKey, digest: Digest): Promise<void>;
  /** Removes the entry, unless it names another blob by now. */
  drop(key: OpaqueKey, digest: Digest): Promise<void>;
  /** What is right below a folder (an empty name, or one that ends in a slash), in order; take no more than you need. */
  list(folder: OpaqueKey): AsyncIterable<OpaqueListed>;
}
