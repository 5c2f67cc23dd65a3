import type { Digest } from '../../core/digest.ts';
import type { BlobPlace } from './blob-index.ts';
import type { RecordKind } from './segment-record.ts';

/** A record on its way into a segment. */
export interface SegmentAppend {
  readonly kind: RecordKind;
  readonly digest: Digest;
  /** The index's id of the blob; of meaning for records with bytes. */
  readonly id: number;
  readonly instance: number;
  readonly seconds: number;
  readonly payload?: Uint8Array | undefined;
  /** Where the bytes are until now, when they are appended anew. */
  readonly from?: BlobPlace | undefined;
}

/** Who learns what became of records. */
export interface SegmentAppendListener {
  /** It is durable, there. */
  appended(append: SegmentAppend, segment: number, offset: number): void;
  /** It is not, and never will be. */
  failed(append: SegmentAppend): void;
}
