import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { type IngotError, internal, invalidArgument, resourceExhausted, unimplemented } from '../error.ts';

/** The `grpc-encoding`s a request may use, as `grpc-accept-encoding` lists them. */
export const acceptedEncodings = 'identity,gzip,deflate';

/** Turns the bytes of a compressed message into those of the message. */
export type Inflate = (bytes: Uint8Array) => Promise<Uint8Array>;

const inflaters = { gzip: promisify(gunzip), deflate: promisify(inflate) };

function failure(encoding: string, bytesMax: number, cause: unknown): IngotError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') {
    return resourceExhausted(
      `Decompress a ${encoding} gRPC message: it grows past ${bytesMax} bytes, which is the limit`,
    );
  }
  return invalidArgument(`Decompress a ${encoding} gRPC message: it is damaged`, { cause });
}

/** For calls whose headers announce no compression. */
export const refuseCompressed: Inflate = async () => {
  throw internal('Read a gRPC message: it is flagged as compressed, but the call has no grpc-encoding');
};

/**
 * Gives what decompresses the messages of a call with this `grpc-encoding`; it stops at `bytesMax` bytes of output.
 * Throws UNIMPLEMENTED for an encoding that is not in {@link acceptedEncodings}.
 */
export function selectInflate(encoding: string, bytesMax: number): Inflate {
  if (encoding === 'identity') return refuseCompressed;
  if (encoding !== 'gzip' && encoding !== 'deflate') {
    throw unimplemented(
      `Read a gRPC call: its grpc-encoding is "${encoding}", expected one of ${acceptedEncodings}`,
    );
  }
  return async (bytes) => {
    try {
      return await inflaters[encoding](bytes, { maxOutputLength: bytesMax });
    } catch (error) {
      throw failure(encoding, bytesMax, error);
    }
  };
}
