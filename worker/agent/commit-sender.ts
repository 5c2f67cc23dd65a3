import { delay } from '../../core/abort.ts';
import type { MessageBus } from '../../core/bus/message-bus.ts';
import { decodeMessage } from '../../core/decode-message.ts';
import { isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import {
  type DigestFunction_Value,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { Commit, CommitReply } from '../../proto/gen/ingot/v1/bus.ts';
import type { BlobUploader } from '../output/blob-uploader.ts';
import { blobOf } from '../output/output-directory.ts';
import type { LeaseOutcome } from './lease-outcome.ts';
import type { Lease } from './lease-table.ts';

/** How long one try waits for its reply. */
const REPLY_MS = 5000;
const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 5000;
/** Largest response sent over the bus itself; half of what a message may have. */
const RESPONSE_BYTES_MAX = 500 * 1024;

export interface CommitSenderDependencies {
  readonly bus: MessageBus;
  /** Stores what is too long for the bus where the scheduler looks for it: in the operation's instance. */
  readonly uploaderOf: (instanceName: string) => BlobUploader;
  readonly logger: Logger;
  readonly subject: string;
  readonly workerId: string;
  readonly incarnation: string;
  /** Before the second try; default 100. */
  readonly firstDelayMs?: number;
}

/** Of the operation that a lease is for. */
export interface CommitOptions extends IoOptions {
  readonly instanceName: string;
  readonly digestFunction: DigestFunction_Value;
}

/** Reports the end of a lease, again and again until the scheduler has answered. */
export class CommitSender {
  readonly #dependencies: CommitSenderDependencies;

  constructor(dependencies: CommitSenderDependencies) {
    this.#dependencies = dependencies;
  }

  /** The scheduler's answer. Ends early only by the signal, or when the commit itself is refused as malformed. */
  async send(lease: Lease, outcome: LeaseOutcome, options: CommitOptions): Promise<CommitReply> {
    const { bus, subject, logger, firstDelayMs = FIRST_DELAY_MS } = this.#dependencies;
    const payload = Commit.encode(await this.#commitOf(lease, outcome, options)).finish();
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, DELAY_MS_MAX)) {
      try {
        const reply = await bus.request(subject, payload, { timeoutMs: REPLY_MS, signal: options.signal });
        return decodeMessage(CommitReply, reply, 'commit reply');
      } catch (error) {
        if (options.signal?.aborted || isIngotError(error, Code.INVALID_ARGUMENT)) throw error;
        logger.debug(
          { operation: lease.operationName, error, delayMs },
          'commit got no answer, sending it again',
        );
        await delay(delayMs, options);
      }
    }
  }

  async #commitOf(
    { operationName, epoch }: Lease,
    outcome: LeaseOutcome,
    options: CommitOptions,
  ): Promise<Commit> {
    const { workerId, incarnation, uploaderOf } = this.#dependencies;
    const head = { operationName, epoch, workerId, incarnation };
    if (outcome.kind === 'handback') {
      const { reason, free } = outcome;
      return { ...head, outcome: { $case: 'handback', value: { reason, free } }, uncacheableReason: '' };
    }
    const { response, uncacheableReason } = outcome;
    const bytes = ExecuteResponse.encode(response).finish();
    if (bytes.byteLength <= RESPONSE_BYTES_MAX) {
      return { ...head, outcome: { $case: 'response', value: response }, uncacheableReason };
    }
    const blob = blobOf(bytes, options.digestFunction);
    await uploaderOf(options.instanceName).upload([blob], options);
    return {
      ...head,
      outcome: { $case: 'responseDigest', value: blob.digest.toMessage() },
      uncacheableReason,
    };
  }
}
