import { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import {
  type CancelLease,
  Commit,
  type CommitReply,
  CommitReply_Outcome,
  type Offer,
  type OfferReply,
  OfferReply_Outcome,
  type Resources,
  WorkerHeartbeat,
  type WorkerProperty,
} from '../../../proto/gen/ingot/v1/bus.ts';
import type { SimBus } from './sim-bus.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimRandom } from './sim-random.ts';
import type { SimScheduler } from './sim-scheduler.ts';
import type { SimTruth } from './sim-truth.ts';

export interface SimWorkerParts {
  readonly id: string;
  readonly capacity: Resources;
  readonly properties: WorkerProperty[];
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly bus: SimBus;
  readonly truth: SimTruth;
  readonly scheduler: () => SimScheduler;
}

interface Held {
  readonly offer: Offer;
}

const HEARTBEAT_MS = 1_000;
const COMMIT_TIMEOUT_MS = 1_500;

/** A worker as the bus messages' comments describe it; its actions take time and do nothing else. */
export class SimWorker {
  readonly #parts: SimWorkerParts;
  /** Chances, for each action: the worker dies of it, gives it back, or the action fails. */
  faults = { poison: 0, handback: 0 };
  #incarnation = 0;
  #sequence = 0;
  #held = new Map<string, Held>();
  /** Newest epoch that was ended here, by operation. */
  #ended = new Map<string, number>();
  #draining = false;
  #alive = false;
  /** While stopped: what came in the meantime. */
  #frozen: (() => void)[] | undefined;

  constructor(parts: SimWorkerParts) {
    this.#parts = parts;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  get heldCount(): number {
    return this.#held.size;
  }

  start(): void {
    if (this.#alive) return;
    this.#alive = true;
    this.#incarnation += 1;
    this.#sequence = 0;
    this.#beatRegularly();
  }

  crash(): void {
    this.#alive = false;
    this.#frozen = undefined;
    this.#incarnation += 1;
    this.#held.clear();
    this.#ended.clear();
    this.#draining = false;
  }

  /** SIGSTOP, and later SIGCONT: everything happens then. */
  freeze(forMs: number): void {
    if (!this.#alive || this.#frozen !== undefined) return;
    this.#frozen = [];
    this.#later(forMs, () => this.thaw(), true);
  }

  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = undefined;
    for (const run of waiting) run();
  }

  /** SIGTERM, and a new process some time after what it has is done. */
  drain(): void {
    if (!this.#alive) return;
    this.#draining = true;
    this.#beat();
    this.#later(15_000, () => {
      this.crash();
      this.start();
    });
  }

  onOffer(offer: Offer, reply: (reply: OfferReply) => void): void {
    this.#whenAwake(() => {
      const outcome = this.#take(offer);
      reply({ outcome, message: 'as simulated' });
      if (outcome === OfferReply_Outcome.ACCEPTED) this.#beat();
    });
  }

  onCancel({ operationName, epoch }: CancelLease): void {
    this.#whenAwake(() => {
      if (this.#held.get(operationName)?.offer.epoch !== epoch) return;
      this.#later(this.#parts.random.between(1, 300), () => this.#end(operationName, epoch));
    });
  }

  #take(offer: Offer): OfferReply_Outcome {
    const { operationName, epoch, incarnation } = offer;
    const held = this.#held.get(operationName);
    if (incarnation !== this.#name()) return OfferReply_Outcome.REFUSED;
    if (held?.offer.epoch === epoch) return OfferReply_Outcome.ACCEPTED;
    if (held !== undefined || (this.#ended.get(operationName) ?? 0) >= epoch) {
      return OfferReply_Outcome.ALREADY_LEASED;
    }
    if (this.#draining) return OfferReply_Outcome.DRAINING;
    if (!this.#hasRoom(offer)) return OfferReply_Outcome.NO_ROOM;
    this.#held.set(operationName, { offer });
    const { random } = this.#parts;
    const lastsMs = random.chance(0.1) ? random.between(5_000, 15_000) : random.between(10, 3_000);
    this.#later(lastsMs, () => this.#finish(operationName, epoch));
    return OfferReply_Outcome.ACCEPTED;
  }

  #hasRoom({ reserved }: Offer): boolean {
    const all = [reserved!, ...[...this.#held.values()].map(({ offer }) => offer.reserved!)];
    const gpuIds = all.flatMap(({ gpus }) => gpus.map(({ id }) => id));
    const slots = all.reduce((sum, one) => sum + one.slots, 0);
    return slots <= this.#parts.capacity.slots && new Set(gpuIds).size === gpuIds.length;
  }

  #finish(operationName: string, epoch: number): void {
    const held = this.#held.get(operationName);
    if (held === undefined || held.offer.epoch !== epoch) return;
    const { random, clock } = this.#parts;
    const fate = random.next();
    if (fate < this.faults.poison) {
      this.crash();
      clock.after(random.between(200, 5_000), () => this.start());
      return;
    }
    const handback = fate < this.faults.poison + this.faults.handback;
    const made = `${operationName}@${epoch}`;
    this.#commit(
      Commit.create({
        operationName,
        epoch,
        workerId: this.#parts.id,
        incarnation: this.#name(),
        outcome: handback
          ? { $case: 'handback', value: { reason: 'scratch is full', free: random.chance(0.5) } }
          : { $case: 'response', value: ExecuteResponse.create({ message: made }) },
      }),
    );
  }

  /** Again and again until there is a reply. */
  #commit(commit: Commit): void {
    const { operationName, epoch } = commit;
    if (this.#held.get(operationName)?.offer.epoch !== epoch) return;
    const { bus, scheduler, truth } = this.#parts;
    const incarnation = this.#incarnation;
    bus.request<CommitReply>(
      COMMIT_TIMEOUT_MS,
      (reply) => scheduler().commit((token) => ({ kind: 'commit', token, commit }), reply),
      (reply) => {
        if (reply?.outcome === CommitReply_Outcome.ACCEPTED && commit.outcome?.$case === 'response') {
          truth.committed(operationName, commit.outcome.value.message);
        }
        if (reply?.outcome === CommitReply_Outcome.STALE) truth.counts.stale += 1;
        if (incarnation !== this.#incarnation) return;
        this.#whenAwake(() => {
          if (reply === undefined) this.#later(200, () => this.#commit(commit));
          else this.#end(operationName, epoch);
        });
      },
    );
  }

  #end(operationName: string, epoch: number): void {
    if (this.#held.get(operationName)?.offer.epoch !== epoch) return;
    this.#held.delete(operationName);
    this.#ended.set(operationName, epoch);
    this.#beat();
  }

  #beatRegularly(): void {
    this.#beat();
    this.#later(HEARTBEAT_MS, () => this.#beatRegularly());
  }

  #beat(): void {
    if (!this.#alive) return;
    const { id, capacity, properties, bus, scheduler } = this.#parts;
    this.#sequence += 1;
    const heartbeat = WorkerHeartbeat.create({
      workerId: id,
      incarnation: this.#name(),
      sequence: this.#sequence,
      hostName: 'simulated',
      properties,
      capacity,
      leases: [...this.#held.values()].map(({ offer }) => ({
        operationName: offer.operationName,
        epoch: offer.epoch,
      })),
      draining: this.#draining,
      heartbeatInterval: { seconds: HEARTBEAT_MS / 1000, nanos: 0 },
    });
    bus.send(() => scheduler().handle({ kind: 'heartbeat', heartbeat: { ...heartbeat } }));
  }

  #name(): string {
    return `${this.#parts.id}-${this.#incarnation}`;
  }

  #whenAwake(run: () => void): void {
    if (!this.#alive) return;
    if (this.#frozen === undefined) run();
    else {
      const incarnation = this.#incarnation;
      this.#frozen.push(() => {
        if (incarnation === this.#incarnation) run();
      });
    }
  }

  #later(delayMs: number, run: () => void, evenFrozen = false): void {
    const incarnation = this.#incarnation;
    this.#parts.clock.after(delayMs, () => {
      if (incarnation !== this.#incarnation) return;
      if (evenFrozen) run();
      else this.#whenAwake(run);
    });
  }
}
