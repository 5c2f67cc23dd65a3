import type { Digest } from '../../core/digest.ts';

/** Something to store in the CAS: bytes we made, or a file an action left. */
export interface OutputBlob {
  readonly digest: Digest;
  /** Can be called again, from the start. */
  open(): AsyncIterable<Uint8Array>;
}
