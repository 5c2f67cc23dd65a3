import { randomUUID } from 'node:crypto';
import type { BusSubscription, MessageBus } from '../../core/bus/message-bus.ts';
import {
  ExecutedActionMetadata,
  type ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import {
  CancelLease,
  CancelLeaseReply,
  Commit,
  CommitReply,
  Offer,
  OfferReply,
  OfferReply_Outcome,
  Progress,
  WorkerHeartbeat,
} from '../../proto/gen/ingot/v1/bus.ts';
import { workerOffer } from './matching/workers.ts';

/** What a fake worker answers when it is asked to run something. */
export type FakeRun = (offer: Offer, cancelled: AbortSignal) => Promise<ExecuteResponse>;

export interface FakeWorkerOptions {
  readonly bus: MessageBus;
  readonly id: string;
  readonly run: FakeRun;
  readonly offer?: Parameters<typeof workerOffer>[1];
}

const HEARTBEAT_MS = 100;

/** Speaks the worker's part of the bus protocol, and runs nothing but a function. */
export class FakeWorker implements AsyncDisposable {
  readonly #options: FakeWorkerOptions;
  readonly incarnation = randomUUID();
  readonly offers: Offer[] = [];
  readonly replies: CommitReply[] = [];
  readonly cancels: CancelLease[] = [];
  readonly #held = new Map<string, { readonly offer: Offer; readonly cancelled: AbortController }>();
  readonly #subscriptions: BusSubscription[] = [];
  #sequence = 0;
  #beating: NodeJS.Timeout | undefined;
  /** While false it hears nothing and says nothing, as a stopped process. */
  awake = true;

  private constructor(options: FakeWorkerOptions) {
    this.#options = options;
  }

  static async start(options: FakeWorkerOptions): Promise<FakeWorker> {
    const worker = new FakeWorker(options);
    const { bus, id } = options;
    worker.#subscriptions.push(
      await bus.subscribe(`worker.${id}.offer`, async ({ payload }) =>
        worker.#onOffer(Offer.decode(payload)),
      ),
      await bus.subscribe(`worker.${id}.cancel`, async ({ payload }) =>
        worker.#onCancel(CancelLease.decode(payload)),
      ),
    );
    worker.#beat();
    worker.#beating = setInterval(() => worker.#beat(), HEARTBEAT_MS);
    return worker;
  }

  /** The process dies: nothing is told to anyone. */
  async kill(): Promise<void> {
    this.awake = false;
    clearInterval(this.#beating);
    for (const { cancelled } of this.#held.values()) cancelled.abort();
    this.#held.clear();
    for (const subscription of this.#subscriptions.splice(0)) await subscription.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** Tells how far a lease has come. */
  progress({ operationName, epoch }: Offer, metadata: Partial<ExecutedActionMetadata>): void {
    const { bus, id } = this.#options;
    const progress = Progress.create({
      operationName,
      epoch,
      workerId: id,
      metadata: ExecutedActionMetadata.create({ worker: id, ...metadata }),
    });
    bus.publish('scheduler.progress', Progress.encode(progress).finish());
  }

  #onOffer(offer: Offer): Uint8Array | undefined {
    if (!this.awake) return undefined;
    const reply = (outcome: OfferReply_Outcome): Uint8Array =>
      OfferReply.encode({ outcome, message: '' }).finish();
    const held = this.#held.get(offer.operationName);
    if (offer.incarnation !== this.incarnation) return reply(OfferReply_Outcome.REFUSED);
    if (held?.offer.epoch === offer.epoch) return reply(OfferReply_Outcome.ACCEPTED);
    if (held !== undefined) return reply(OfferReply_Outcome.ALREADY_LEASED);
    this.offers.push(offer);
    const cancelled = new AbortController();
    this.#held.set(offer.operationName, { offer, cancelled });
    void this.#run(offer, cancelled.signal);
    this.#beat();
    return reply(OfferReply_Outcome.ACCEPTED);
  }

  #onCancel(cancel: CancelLease): Uint8Array {
    this.cancels.push(cancel);
    const held = this.#held.get(cancel.operationName);
    const found = held?.offer.epoch === cancel.epoch;
    if (found) {
      held.cancelled.abort();
      this.#end(held.offer);
    }
    return CancelLeaseReply.encode({ found }).finish();
  }

  async #run(offer: Offer, cancelled: AbortSignal): Promise<void> {
    const response = await this.#options.run(offer, cancelled);
    const { operationName, epoch } = offer;
    const payload = Commit.encode(
      Commit.create({
        operationName,
        epoch,
        workerId: this.#options.id,
        incarnation: this.incarnation,
        outcome: { $case: 'response', value: response },
      }),
    ).finish();
    while (this.#held.get(operationName)?.offer === offer) {
      try {
        const reply = await this.#options.bus.request('scheduler.commit', payload, {
          timeoutMs: 1_000,
        });
        this.replies.push(CommitReply.decode(reply));
        this.#end(offer);
      } catch {
        // The scheduler is away, or cannot take it now: again.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  #end({ operationName }: Offer): void {
    this.#held.delete(operationName);
    this.#beat();
  }

  #beat(): void {
    if (!this.awake) return;
    const { bus, id, offer = {} } = this.#options;
    const { properties, capacity } = workerOffer(id, offer);
    this.#sequence += 1;
    const heartbeat = WorkerHeartbeat.create({
      workerId: id,
      incarnation: this.incarnation,
      sequence: this.#sequence,
      hostName: `${id}.example`,
      properties: [...properties],
      capacity,
      leases: [...this.#held.values()].map((held) => ({
        operationName: held.offer.operationName,
        epoch: held.offer.epoch,
      })),
      heartbeatInterval: { seconds: 0, nanos: HEARTBEAT_MS * 1e6 },
    });
    bus.publish('worker.heartbeat', WorkerHeartbeat.encode(heartbeat).finish());
  }
}
