import type { BlobStore } from '../cache/blob-store.ts';
import { type InlineHints, inlineOutputs } from '../cache/grpc/inline-outputs.ts';
import { throwIfAborted } from '../core/abort.ts';
import type { IoOptions } from '../core/io-options.ts';
import type { Logger } from '../core/log/logger.ts';
import type { OperationView } from './state/operation-view.ts';

/** What {@link inlineResponse} needs besides the view. */
export interface InlineResponseOptions extends IoOptions {
  readonly store: BlobStore;
  readonly logger: Logger;
}

/** The view with the outputs a client asked to have in the response itself. They are hints: without them it is complete. */
export async function inlineResponse(
  view: OperationView,
  hints: InlineHints,
  { store, logger, signal }: InlineResponseOptions,
): Promise<OperationView> {
  const { response, digestFunction, name } = view;
  if (response?.result === undefined) return view;
  try {
    const result = await inlineOutputs(response.result, hints, { store, digestFunction, signal });
    return { ...view, response: { ...response, result } };
  } catch (error) {
    throwIfAborted(signal);
    logger.warn({ operation: name, error }, 'outputs could not be inlined');
    return view;
  }
}
