import assert from 'node:assert/strict';
import { delay, type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import type { BusMessage, BusSubscription, MessageBus } from '../../core/bus/message-bus.ts';
import { decodeMessage } from '../../core/decode-message.ts';
import { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import {
  CancelLease,
  CancelLeaseReply,
  commitReply_OutcomeToJSON,
  Offer,
  OfferReply,
  OfferReply_Outcome as Outcome,
  Progress,
  type WorkerHeartbeat,
} from '../../proto/gen/ingot/v1/bus.ts';
import type { ActionExecutor } from './action-executor.ts';
import type { BusSubjects } from './bus-subjects.ts';
import type { CommitSender } from './commit-sender.ts';
import { HeartbeatPublisher } from './heartbeat-publisher.ts';
import { LeaseEnded } from './lease-outcome.ts';
import type { Lease, LeaseTable } from './lease-table.ts';
import type { WorkerHealth } from './worker-health.ts';

/** How long handing leases back at the end of a drain may take. */
const HANDBACK_MS = 10_000;

/** What a heartbeat tells that does not change by leases. */
export type WorkerDescription = Pick<
  WorkerHeartbeat,
  'workerId' | 'incarnation' | 'hostName' | 'capacity' | 'heartbeatInterval'
>;

export interface WorkerAgentDependencies {
  readonly description: WorkerDescription;
  /** The platform properties as of now. */
  readonly properties: () => WorkerHeartbeat['properties'];
  readonly heartbeatIntervalMs: number;
  readonly bus: MessageBus;
  readonly subjects: BusSubjects;
  readonly leases: LeaseTable;
  readonly executor: ActionExecutor;
  readonly commits: CommitSender;
  readonly health: WorkerHealth;
  readonly logger: Logger;
}

interface RunningLease {
  readonly lease: Lease;
  readonly abort: LinkedAbort;
  readonly done: Promise<void>;
}

/**
 * A worker as the scheduler knows it: takes offers, runs them, reports their end, and tells of itself by heartbeats.
 * States: new; serving; draining, when it takes nothing new and finishes what it has; stopped.
 */
export class WorkerAgent {
  readonly #d: WorkerAgentDependencies;
  readonly #heartbeats: HeartbeatPublisher;
  readonly #running = new Map<string, RunningLease>();
  readonly #subscriptions: BusSubscription[] = [];
  readonly #stop = linkedAbort();
  #state: 'new' | 'serving' | 'draining' | 'stopped' = 'new';
  #leaseCount = 0;
  #draining: Promise<void> | undefined;

  constructor(dependencies: WorkerAgentDependencies) {
    this.#d = dependencies;
    const { bus, logger, subjects, heartbeatIntervalMs } = dependencies;
    this.#heartbeats = new HeartbeatPublisher({
      bus,
      logger,
      subject: subjects.heartbeat,
      intervalMs: heartbeatIntervalMs,
      describe: () => this.#describe(),
    });
  }

  /** Serves from the moment it resolves, and says so by its first heartbeat. */
  async start(): Promise<void> {
    assert(this.#state === 'new', 'an agent is started once');
    this.#state = 'serving';
    const { bus, subjects, health } = this.#d;
    this.#subscriptions.push(
      await bus.subscribe(subjects.offer, async (message) => this.#onOffer(message)),
      await bus.subscribe(subjects.cancel, async (message) => this.#onCancel(message)),
    );
    health.onChange(() => this.#heartbeats.changed());
    this.#heartbeats.start();
  }

  /** Something the heartbeat tells has changed: tells it now. */
  changed(): void {
    this.#heartbeats.changed();
  }

  /** Takes nothing new, lets what runs finish within the grace, hands the rest back, and stops. */
  drain({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#draining ??= this.#enterDraining(graceMs);
    return this.#draining;
  }

  async #enterDraining(graceMs: number): Promise<void> {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    this.#d.logger.info({ leases: this.#running.size, graceMs }, 'worker drains');
    this.#heartbeats.changed();
    await this.#idleWithin(graceMs);
    for (const { abort } of this.#running.values()) {
      abort.abort(new LeaseEnded('the worker is leaving', { draining: true }));
    }
    await this.#idleWithin(HANDBACK_MS);
    await this.#enterStopped();
  }

  async #enterStopped(): Promise<void> {
    this.#state = 'stopped';
    this.#heartbeats.stop();
    this.#stop.abort(unavailable('the worker has stopped'));
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await Promise.all(Array.from(this.#running.values(), ({ done }) => done));
    this.#d.logger.info({}, 'worker stopped');
  }

  async #idleWithin(timeoutMs: number): Promise<void> {
    using timeout = linkedAbort();
    const idle = Promise.all(Array.from(this.#running.values(), ({ done }) => done));
    await Promise.race([idle, delay(timeoutMs, { signal: timeout.signal })]);
  }

  #onOffer({ payload }: BusMessage): Uint8Array {
    const offer = decodeMessage(Offer, payload, 'offer');
    const { outcome, message, lease } = this.#decide(offer);
    const { operationName, epoch } = offer;
    this.#d.logger.debug({ operation: operationName, epoch, outcome, message }, 'offer answered');
    if (lease !== undefined) this.#serve(lease, offer);
    return OfferReply.encode({ outcome, message }).finish();
  }

  #decide(offer: Offer): ReturnType<LeaseTable['decide']> {
    const { description, health, leases } = this.#d;
    const { workerId, incarnation } = description;
    if (offer.workerId !== workerId || offer.incarnation !== incarnation) {
      return { outcome: Outcome.REFUSED, message: `this is ${workerId}, incarnation ${incarnation}` };
    }
    // An offer that was accepted before is accepted again, whatever has become of the worker since.
    if (leases.find(offer.operationName, offer.epoch) !== undefined) return leases.decide(offer);
    if (this.#state !== 'serving') return { outcome: Outcome.DRAINING, message: 'the worker is leaving' };
    if (health.reason !== '') return { outcome: Outcome.REFUSED, message: health.reason };
    return leases.decide(offer);
  }

  #onCancel({ payload }: BusMessage): Uint8Array {
    const { operationName, epoch, reason } = decodeMessage(CancelLease, payload, 'cancel lease');
    const running = this.#running.get(operationName);
    const found = running?.lease.epoch === epoch;
    if (found)
      running.abort.abort(new LeaseEnded(reason || 'the operation was cancelled', { draining: false }));
    return CancelLeaseReply.encode({ found }).finish();
  }

  #serve(lease: Lease, offer: Offer): void {
    const abort = linkedAbort();
    const done = this.#run(lease, offer, abort.signal).finally(() => {
      abort[Symbol.dispose]();
      this.#running.delete(lease.operationName);
      this.#d.leases.end(lease);
      this.#heartbeats.changed();
    });
    this.#running.set(lease.operationName, { lease, abort, done });
    this.#heartbeats.changed();
  }

  async #run(lease: Lease, offer: Offer, signal: AbortSignal): Promise<void> {
    const { executor, commits, logger, bus, subjects, description } = this.#d;
    const { operationName, epoch } = lease;
    this.#leaseCount += 1;
    const place = { leaseKey: `lease-${this.#leaseCount}`, slot: lease.slot };
    try {
      const onProgress = (metadata: NonNullable<Progress['metadata']>): void => {
        const { workerId } = description;
        bus.publish(
          subjects.progress,
          Progress.encode({ operationName, epoch, workerId, metadata }).finish(),
        );
      };
      const outcome = await executor.execute({ offer, place, onProgress }, signal);
      const released = executor.release(place);
      const { digestFunction } = Digest.fromMessage(offer.actionDigest, offer.digestFunction);
      const reply = await commits.send(lease, outcome, {
        instanceName: offer.instanceName,
        digestFunction,
        signal: this.#stop.signal,
      });
      await released;
      const answer = commitReply_OutcomeToJSON(reply.outcome);
      logger.info({ operation: operationName, epoch, outcome: outcome.kind, answer }, 'lease ended');
    } catch (error) {
      // The scheduler will miss the lease in the next heartbeat and give the operation to someone else.
      logger.error({ operation: operationName, epoch, error }, 'lease ended without an answer');
    }
  }

  #describe(): Omit<WorkerHeartbeat, 'sequence'> {
    const { description, properties, leases, health } = this.#d;
    return {
      ...description,
      properties: properties(),
      leases: leases.leases.map(({ operationName, epoch }) => ({ operationName, epoch })),
      draining: this.#state !== 'serving',
      unhealthyReason: health.reason,
    };
  }
}
