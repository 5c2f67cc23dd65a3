/** Up to this size one buffer with all of an answer costs less than two of which one is not copied. */
const COPIED_BYTES_MAX = 4096;
const NOTHING = new Uint8Array();

/** A whole message as `encodeParts` gives it: its first part is copied to stand behind the length, so it is a short one. */
export function messageParts(bytes: Uint8Array): readonly Uint8Array[] {
  return bytes.length <= COPIED_BYTES_MAX ? [bytes] : [NOTHING, bytes];
}
