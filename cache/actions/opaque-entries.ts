import type { Digest } from '../../core/digest.ts';

/** What an opaque entry is filed under: a name the client made up. */
export interface OpaqueKey {
  readonly instanceName: string;
  /** Of the client's choice. */
  readonly name: string;
}

/**
 * Values that HTTP clients such as ccache file under /ac and that are no action results. The bytes are in the blob
 * store; here is which blob it is. gRPC clients never see them.
 */
export interface OpaqueEntries {
  /** The blob, or undefined. */
  get(key: OpaqueKey): Promise<Digest | undefined>;
  /** Files a blob in place of an older one; resolves when it is durable. */
  put(key: OpaqueKey, digest: Digest): Promise<void>;
  /** Removes the entry, unless it names another blob by now. */
  drop(key: OpaqueKey, digest: Digest): Promise<void>;
}
