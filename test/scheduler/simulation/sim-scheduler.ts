import { IngotError } from '../../../core/error.ts';
import { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { CommitReply } from '../../../proto/gen/ingot/v1/bus.ts';
import { OperationRecord } from '../../../proto/gen/ingot/v1/journal.ts';
import { joinKeyOf } from '../../../scheduler/state/join-key.ts';
import type { OperationView } from '../../../scheduler/state/operation-view.ts';
import type { SchedulerCommand } from '../../../scheduler/state/scheduler-command.ts';
import type { SchedulerEvent } from '../../../scheduler/state/scheduler-event.ts';
import type { SchedulerLimits } from '../../../scheduler/state/scheduler-limits.ts';
import { createSchedulerState, type SchedulerState } from '../../../scheduler/state/scheduler-state.ts';
import { step } from '../../../scheduler/state/step.ts';
import { capacityOf } from '../../../scheduler/state/worker-state.ts';
import type { SimBus } from './sim-bus.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimRandom } from './sim-random.ts';
import type { SimTruth } from './sim-truth.ts';
import type { SimWorker } from './sim-worker.ts';

type Command<K extends SchedulerCommand['kind']> = Extract<SchedulerCommand, { readonly kind: K }>;

/** What came of an `execute` or `attach`. */
export type SimAnswer = { readonly view: OperationView } | { readonly error: IngotError };

export interface SimSchedulerParts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly bus: SimBus;
  readonly truth: SimTruth;
  readonly limits: SchedulerLimits;
  readonly workers: ReadonlyMap<string, SimWorker>;
}

const OFFER_TIMEOUT_MS = 2_000;

/**
 * Drives the state machine as the engine does: writes records before it carries out commands, several steps to a write.
 * A crash loses the state and what was not written yet; of a write under way, all or nothing survives.
 */
export class SimScheduler {
  readonly #parts: SimSchedulerParts;
  readonly #durable = new Map<string, Uint8Array>();
  state: SchedulerState | undefined;
  /** Chance that a result cannot be filed just now, or is found to be no good. */
  commitFaults = { retry: 0, refuse: 0 };
  onView: (view: OperationView) => void = () => undefined;
  onStart: () => void = () => undefined;
  onCrash: () => void = () => undefined;
  #generation = 0;
  #monotonicBaseMs = 0;
  wallSkewMs = 0;
  #stalledUntilMs = 0;
  #crashAtWrite = false;
  #records = new Map<string, OperationRecord>();
  #deletedNames = new Set<string>();
  #commands: SchedulerCommand[] = [];
  #write: (() => void) | undefined;
  /** Set while commands are carried out; events that come of them wait. */
  #waitingEvents: SchedulerEvent[] | undefined;
  readonly #answers = new Map<string, (answer: SimAnswer) => void>();
  readonly #commits = new Map<string, (reply: CommitReply) => void>();
  #tokens = 0;

  constructor(parts: SimSchedulerParts) {
    this.#parts = parts;
  }

  get durableNames(): string[] {
    return [...this.#durable.keys()];
  }

  get monotonicMs(): number {
    return this.#parts.clock.nowMs - this.#monotonicBaseMs;
  }

  start(): void {
    const { clock, random, limits } = this.#parts;
    this.#generation += 1;
    this.#monotonicBaseMs = random.between(-1e7, clock.nowMs);
    this.state = createSchedulerState(limits, this.#instant());
    this.handle({
      kind: 'restore',
      records: [...this.#durable.values()].map((bytes) => OperationRecord.decode(bytes)),
    });
    this.#planTick();
    this.onStart();
  }

  crash(): void {
    if (this.state === undefined) return;
    if (this.#parts.random.chance(0.5)) this.#write?.();
    this.state = undefined;
    this.#generation += 1;
    this.#write = undefined;
    this.#records.clear();
    this.#deletedNames.clear();
    this.#commands = [];
    this.#waitingEvents = undefined;
    this.#answers.clear();
    this.#commits.clear();
    this.onCrash();
  }

  /** Dies around the next write: that is where a crash hurts. */
  crashAtNextWrite(): void {
    this.#crashAtWrite = true;
  }

  /** The process stands still: what comes in the meantime is handled afterwards. */
  stall(forMs: number): void {
    this.#stalledUntilMs = this.#parts.clock.nowMs + forMs;
  }

  ask(event: (token: string) => SchedulerEvent, answer: (answer: SimAnswer) => void): void {
    const token = this.#token();
    this.#answers.set(token, answer);
    this.handle(event(token));
  }

  commit(event: (token: string) => SchedulerEvent, reply: (reply: CommitReply) => void): void {
    const token = this.#token();
    this.#commits.set(token, reply);
    this.handle(event(token));
  }

  handle(event: SchedulerEvent): void {
    const { state } = this;
    if (state === undefined) return;
    if (this.#waitingEvents !== undefined) {
      this.#waitingEvents.push(event);
      return;
    }
    const { clock } = this.#parts;
    const stalledMs = this.#stalledUntilMs - clock.nowMs;
    if (stalledMs > 0) {
      this.#later(stalledMs, () => this.handle(event));
      return;
    }
    const outcome = step(state, event, this.#instant());
    checkRoom(state);
    if (event.kind === 'execute') checkShared(state);
    for (const record of outcome.records) this.#records.set(record.name, record);
    for (const name of outcome.forgottenNames) {
      this.#records.delete(name);
      this.#deletedNames.add(name);
    }
    this.#commands.push(...outcome.commands);
    if (this.#write === undefined) this.#flush();
  }

  #flush(): void {
    if (this.#records.size === 0 && this.#deletedNames.size === 0) {
      this.#carryOutAll(this.#commands.splice(0));
      return;
    }
    const puts = [...this.#records].map(
      ([name, record]) => [name, OperationRecord.encode(record).finish()] as const,
    );
    const deletedNames = [...this.#deletedNames];
    const commands = this.#commands;
    this.#records.clear();
    this.#deletedNames.clear();
    this.#commands = [];
    this.#write = () => {
      for (const name of deletedNames) this.#durable.delete(name);
      for (const [name, bytes] of puts) this.#durable.set(name, bytes);
    };
    const lastsMs = this.#parts.random.between(0.1, 2);
    if (this.#crashAtWrite) {
      this.#crashAtWrite = false;
      this.#later(this.#parts.random.between(0, 2 * lastsMs), () => this.crash());
    }
    this.#later(lastsMs, () => {
      this.#write?.();
      this.#write = undefined;
      this.#carryOutAll(commands);
      if (this.#write === undefined) this.#flush();
    });
  }

  #carryOutAll(commands: readonly SchedulerCommand[]): void {
    if (commands.length === 0) return;
    const generation = this.#generation;
    this.#waitingEvents = [];
    for (const command of commands) this.#carryOut(command);
    const waiting = this.#waitingEvents ?? [];
    this.#waitingEvents = undefined;
    for (const event of waiting) {
      if (generation === this.#generation) this.handle(event);
    }
  }

  #carryOut(command: SchedulerCommand): void {
    switch (command.kind) {
      case 'offer':
        this.#offer(command);
        break;
      case 'cancelLease': {
        const { workerId, cancel } = command;
        this.#parts.bus.send(() => this.#parts.workers.get(workerId)?.onCancel(cancel));
        break;
      }
      case 'answer':
        this.#answer(command.token, { view: command.view });
        break;
      case 'refuse':
        this.#answer(command.token, { error: command.error });
        break;
      case 'notify':
        this.onView(command.view);
        break;
      case 'prepareCommit':
        this.#prepareCommit(command);
        break;
      case 'replyCommit':
        this.#replyCommit(command);
        break;
      case 'log':
        if (command.message === 'worker lost') this.#parts.truth.counts.workersLost += 1;
        break;
    }
  }

  #offer({ offer }: Command<'offer'>): void {
    const { bus, truth, workers } = this.#parts;
    const { operationName, epoch, workerId } = offer;
    truth.offered(offer);
    const generation = this.#generation;
    bus.request<Parameters<Parameters<SimWorker['onOffer']>[1]>[0]>(
      OFFER_TIMEOUT_MS,
      (reply) => workers.get(workerId)?.onOffer(offer, reply),
      (reply) => {
        if (generation !== this.#generation) return;
        this.handle({ kind: 'offerReply', operationName, epoch, workerId, reply });
      },
    );
  }

  #prepareCommit({ record, commit }: Command<'prepareCommit'>): void {
    const { random, truth } = this.#parts;
    const { operationName, epoch } = commit;
    const response = commit.outcome?.$case === 'response' ? commit.outcome.value : ExecuteResponse.create();
    const event = { operationName, epoch };
    const lastsMs = random.chance(0.15) ? random.between(100, 12_000) : random.between(0.5, 20);
    this.#later(lastsMs, () => {
      const fate = random.next();
      if (fate < this.commitFaults.retry) {
        this.handle({ kind: 'commitFailed', ...event, reason: 'the cache is away', retry: true });
      } else if (fate < this.commitFaults.retry + this.commitFaults.refuse) {
        this.handle({ kind: 'commitFailed', ...event, reason: 'an output is missing', retry: false });
      } else {
        const key = joinKeyOf(record);
        const cached = key !== undefined && response.status === undefined;
        if (cached) truth.cached(key, operationName, epoch, response.message);
        this.#later(random.between(0.1, 5), () =>
          this.handle({ kind: 'commitPrepared', ...event, response, responseBytes: 100, cached }),
        );
      }
    });
  }

  #replyCommit({ token, reply }: Command<'replyCommit'>): void {
    const resolve = this.#commits.get(token);
    this.#commits.delete(token);
    // To an error the worker reacts as to no reply: it sends the commit again.
    if (!(reply instanceof IngotError)) resolve?.(reply);
  }

  #answer(token: string, answer: SimAnswer): void {
    const resolve = this.#answers.get(token);
    this.#answers.delete(token);
    resolve?.(answer);
  }

  #later(delayMs: number, run: () => void): void {
    const generation = this.#generation;
    this.#parts.clock.after(delayMs, () => {
      if (generation === this.#generation) run();
    });
  }

  #planTick(): void {
    this.#later(this.#parts.limits.tickMs, () => {
      this.handle({ kind: 'tick' });
      this.#planTick();
    });
  }

  #token(): string {
    this.#tokens += 1;
    return `token-${this.#tokens}`;
  }

  #instant(): { monotonicMs: number; wallMs: number } {
    return { monotonicMs: this.monotonicMs, wallMs: this.#parts.clock.nowMs + this.wallSkewMs + 1.7e12 };
  }
}

/** Never more leased than there is, and no GPU twice. */
function checkRoom(state: SchedulerState): void {
  for (const worker of state.workers.values()) {
    if (worker.heartbeat === undefined) continue;
    const capacity = capacityOf(worker);
    let slots = 0;
    let cpuMillis = 0;
    let memoryBytes = 0;
    const gpuIds: string[] = [];
    for (const { reserved } of worker.leases.values()) {
      slots += reserved.slots;
      cpuMillis += reserved.cpuMillis;
      memoryBytes += reserved.memoryBytes;
      gpuIds.push(...reserved.gpus.map(({ id }) => id));
    }
    const over =
      slots > capacity.slots || cpuMillis > capacity.cpuMillis || memoryBytes > capacity.memoryBytes;
    if (over || new Set(gpuIds).size < gpuIds.length) {
      throw new Error(
        `${worker.id} is leased beyond its room: ${slots} slots, ${cpuMillis} cpu, GPUs ${gpuIds.join()}`,
      );
    }
  }
}

/** No action runs twice at a time where one run would do. */
function checkShared(state: SchedulerState): void {
  const keys = new Set<string>();
  for (const { joinKey, phase, record } of state.operations.values()) {
    if (phase === 'completed' || joinKey === undefined) continue;
    if (keys.has(joinKey)) throw new Error(`${record.name} runs what another operation runs already`);
    keys.add(joinKey);
  }
}
