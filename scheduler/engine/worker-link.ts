import { linkedAbort } from '../../core/abort.ts';
import type { BusHandler, BusSubscription, MessageBus } from '../../core/bus/message-bus.ts';
import { decodeMessage } from '../../core/decode-message.ts';
import { cancelled, isIngotError } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import {
  CancelLease,
  Commit,
  CommitReply,
  Offer,
  OfferReply,
  OfferReply_Outcome,
  Progress,
  WorkerHeartbeat,
} from '../../proto/gen/ingot/v1/bus.ts';
import { checkHeartbeat } from './check-heartbeat.ts';

/** A worker answers an offer at once; past this the message or the reply is lost. */
const OFFER_REPLY_MS = 2_000;
/** The same for a cancel. */
const CANCEL_REPLY_MS = 2_000;

/** Who hears what workers say. */
export interface WorkerEvents {
  onHeartbeat(heartbeat: WorkerHeartbeat): void;
  onProgress(progress: Progress): void;
  /** Its error makes the worker commit again. */
  onCommit(commit: Commit): Promise<CommitReply>;
  /** Undefined: no reply came. */
  onOfferReply(offer: Offer, reply: OfferReply | undefined): void;
}

/** What {@link WorkerLink} depends on. */
export interface WorkerLinkDependencies {
  readonly bus: MessageBus;
  readonly logger: Logger;
}

/** The scheduler's end of the bus: takes what workers send, and sends them offers and cancels. */
export class WorkerLink {
  readonly #bus: MessageBus;
  readonly #logger: Logger;
  readonly #closing = linkedAbort();
  readonly #subscriptions: BusSubscription[] = [];
  #events: WorkerEvents | undefined;

  constructor({ bus, logger }: WorkerLinkDependencies) {
    this.#bus = bus;
    this.#logger = logger;
  }

  /** Starts to listen. */
  async open(events: WorkerEvents): Promise<void> {
    this.#events = events;
    const listen = async (subject: string, handler: BusHandler): Promise<void> => {
      this.#subscriptions.push(await this.#bus.subscribe(subject, handler));
    };
    await listen('worker.heartbeat', async ({ payload }) => {
      const heartbeat = decodeMessage(WorkerHeartbeat, payload, 'heartbeat');
      checkHeartbeat(heartbeat);
      events.onHeartbeat(heartbeat);
      return undefined;
    });
    await listen('scheduler.progress', async ({ payload }) => {
      events.onProgress(decodeMessage(Progress, payload, 'progress'));
      return undefined;
    });
    await listen('scheduler.commit', async ({ payload }) => {
      const commit = decodeMessage(Commit, payload, 'commit');
      return CommitReply.encode(await events.onCommit(commit)).finish();
    });
  }

  /** Sends an offer; `onOfferReply` hears how it went. */
  offer(offer: Offer): void {
    void this.#offer(offer).then((reply) => {
      if (!this.#closing.signal.aborted) this.#events?.onOfferReply(offer, reply);
    });
  }

  /** Sends a cancel once; a lost one is made up for when the worker's heartbeat shows the lease. */
  cancelLease(workerId: string, cancel: CancelLease): void {
    const { signal } = this.#closing;
    const payload = CancelLease.encode(cancel).finish();
    const subject = `worker.${workerId}.cancel`;
    this.#bus.request(subject, payload, { timeoutMs: CANCEL_REPLY_MS, signal }).catch((error) => {
      this.#logger.debug(
        { worker: workerId, operation: cancel.operationName, error },
        'a cancel had no reply',
      );
    });
  }

  /** Hears nothing more; waits for no reply. */
  async close(): Promise<void> {
    this.#closing.abort(cancelled('the scheduler is closing'));
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
  }

  async #offer(offer: Offer): Promise<OfferReply | undefined> {
    const { workerId, operationName, epoch } = offer;
    const { signal } = this.#closing;
    try {
      const payload = Offer.encode(offer).finish();
      const subject = `worker.${workerId}.offer`;
      const reply = await this.#bus.request(subject, payload, { timeoutMs: OFFER_REPLY_MS, signal });
      return decodeMessage(OfferReply, reply, 'reply to an offer');
    } catch (error) {
      const lost = isIngotError(error, Code.UNAVAILABLE) || isIngotError(error, Code.DEADLINE_EXCEEDED);
      const fields = { worker: workerId, operation: operationName, epoch, error };
      this.#logger.debug(fields, 'an offer had no good reply');
      if (lost) return undefined;
      const message = isIngotError(error) ? error.message : 'internal error';
      return { outcome: OfferReply_Outcome.REFUSED, message };
    }
  }
}
