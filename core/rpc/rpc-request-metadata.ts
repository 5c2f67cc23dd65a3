import { RequestMetadata } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** The header in which a REAPI client says who it is and what it is doing. */
export const REQUEST_METADATA_HEADER = 'build.bazel.remote.execution.v2.requestmetadata-bin';

/**
 * Reads the header's base64. It only serves logs and grouping, so one that cannot be read is `undefined` and not an
 * error; of a header sent twice (joined by a comma) the first counts.
 */
export function parseRequestMetadata(header: string | undefined): RequestMetadata | undefined {
  if (header === undefined) return undefined;
  const [first = ''] = header.split(',', 1);
  try {
    return RequestMetadata.decode(Buffer.from(first, 'base64'));
  } catch {
    // Safe: nothing depends on this header, and the call itself may be sound.
    return undefined;
  }
}

/** The bytes of the header. */
export function encodeRequestMetadata(metadata: RequestMetadata): Buffer {
  return Buffer.from(RequestMetadata.encode(metadata).finish());
}
