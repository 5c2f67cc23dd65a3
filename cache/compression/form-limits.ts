/** Smaller blobs are sent as they are: one fits a packet, and the frame around it eats what is saved. */
export const FORM_BLOB_BYTES_MIN = 1024;

/** The most bytes that a form may have to be worth its place: it must save an eighth of the blob. */
export function formBytesMax(sizeBytes: number): number {
  return sizeBytes - Math.ceil(sizeBytes / 8);
}
