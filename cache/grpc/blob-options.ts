import type { CallContext } from '../../core/rpc/rpc-service.ts';
import type { BlobOptions } from '../blob-store.ts';

/** What a call tells the stores. Nothing is made before a store asks: the fast ones do not ask for the signal. */
export function blobOptionsOf(context: CallContext): BlobOptions {
  return {
    get signal() {
      return context.signal;
    },
    get invocationId() {
      return context.invocationId;
    },
    throwIfAborted: () => context.throwIfAborted(),
  };
}
