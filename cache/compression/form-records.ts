import type { Digest } from '../../core/digest.ts';

/** What is known of a blob's compressed form: its digest, or that compressing the blob does not pay. */
export type FormRecord = Digest | 'incompressible';

/** The compressed forms of blobs, by the blobs' digests; durable. */
export interface FormRecords {
  get(digest: Digest): Promise<FormRecord | undefined>;
  put(digest: Digest, record: FormRecord): Promise<void>;
}
