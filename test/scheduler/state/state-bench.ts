import {
  DigestFunction_Value,
  type ExecuteResponse,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import {
  type Commit,
  type CommitReply,
  type Offer,
  type OfferReply,
  OfferReply_Outcome,
  WorkerHeartbeat,
} from '../../../proto/gen/ingot/v1/bus.ts';
import { OperationRecord } from '../../../proto/gen/ingot/v1/journal.ts';
import { parsePlatformRequest } from '../../../scheduler/matching/platform-request.ts';
import type { WorkerOffer } from '../../../scheduler/matching/shortfall.ts';
import type { OperationView } from '../../../scheduler/state/operation-view.ts';
import type { SchedulerCommand } from '../../../scheduler/state/scheduler-command.ts';
import type { SchedulerEvent, Submission } from '../../../scheduler/state/scheduler-event.ts';
import { DEFAULT_SCHEDULER_LIMITS, type SchedulerLimits } from '../../../scheduler/state/scheduler-limits.ts';
import { createSchedulerState, type SchedulerState } from '../../../scheduler/state/scheduler-state.ts';
import { step } from '../../../scheduler/state/step.ts';
import { executeResponse } from '../execute-response.ts';
import { workerOffer } from '../matching/workers.ts';

type CommandOf<K extends SchedulerCommand['kind']> = Extract<SchedulerCommand, { readonly kind: K }>;

/** What a test says of an action; the rest does not matter to it. */
export interface BenchAction {
  readonly platform?: Readonly<Record<string, string>>;
  readonly priority?: number;
  readonly doNotCache?: boolean;
  readonly skipCacheLookup?: boolean;
  readonly instanceName?: string;
  readonly lookedUpAtMs?: number;
  readonly timeoutMs?: number;
}

interface BenchWorker {
  readonly offer: WorkerOffer;
  incarnation: string;
  sequence: number;
  /** What its heartbeats show; offers accepted through the bench are in it. */
  leases: { operationName: string; epoch: number }[];
}

/** The state machine with a clock a test moves, workers it speaks for, and everything that was commanded. */
export class StateBench {
  readonly limits: SchedulerLimits;
  state: SchedulerState;
  nowMs = 1_000_000;
  wallMs = 1_700_000_000_000;
  readonly workers = new Map<string, BenchWorker>();
  /** The journal, as the commands so far leave it. */
  readonly journal = new Map<string, Uint8Array>();
  #commands: SchedulerCommand[] = [];
  #count = 0;

  constructor(limits: Partial<SchedulerLimits> = {}) {
    this.limits = { ...DEFAULT_SCHEDULER_LIMITS, ...limits };
    this.state = createSchedulerState(this.limits, this.#now());
  }

  send(event: SchedulerEvent): void {
    const outcome = step(this.state, event, this.#now());
    for (const name of outcome.forgottenNames) this.journal.delete(name);
    for (const record of outcome.records)
      this.journal.set(record.name, OperationRecord.encode(record).finish());
    this.#commands.push(...outcome.commands);
  }

  /** Takes the commands of one kind out of what was commanded. */
  take<K extends SchedulerCommand['kind']>(kind: K): CommandOf<K>[] {
    const isOne = (command: SchedulerCommand): command is CommandOf<K> => command.kind === kind;
    const taken = this.#commands.filter(isOne);
    this.#commands = this.#commands.filter((command) => !isOne(command));
    return taken;
  }

  offers(): Offer[] {
    return this.take('offer').map(({ offer }) => offer);
  }

  /** The one offer there must be. */
  offer(): Offer {
    const offers = this.offers();
    if (offers.length !== 1) throw new Error(`expected one offer, got ${offers.length}`);
    return offers[0]!;
  }

  /** A new worker that has said hello; its leases are known as nothing but what the bench makes of them. */
  join(workerId: string, offer: Parameters<typeof workerOffer>[1] = {}): void {
    const worker = {
      offer: workerOffer(workerId, offer),
      incarnation: `${workerId}-1`,
      sequence: 0,
      leases: [],
    };
    this.workers.set(workerId, worker);
    this.beat(workerId);
  }

  beat(workerId: string, changes: Partial<WorkerHeartbeat> = {}): void {
    const worker = this.workers.get(workerId)!;
    worker.sequence += 1;
    const heartbeat = WorkerHeartbeat.create({
      workerId,
      incarnation: worker.incarnation,
      sequence: worker.sequence,
      hostName: `${workerId}.example`,
      properties: [...worker.offer.properties],
      capacity: worker.offer.capacity,
      leases: worker.leases,
      heartbeatInterval: { seconds: 1, nanos: 0 },
      ...changes,
    });
    this.send({ kind: 'heartbeat', heartbeat });
  }

  /** A new process under the same id, which holds nothing. */
  restart(workerId: string): void {
    const worker = this.workers.get(workerId)!;
    worker.incarnation = `${worker.incarnation}+`;
    worker.sequence = 0;
    worker.leases = [];
    this.beat(workerId);
  }

  /** Lets time pass with a tick every half second; the named workers (all, unless said) beat each second. */
  pass(ms: number, beating: readonly string[] = [...this.workers.keys()]): void {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      this.nowMs += 500;
      if (passedMs % 1000 === 0) for (const workerId of beating) this.beat(workerId);
      this.send({ kind: 'tick' });
    }
  }

  /** Sends an execute; equal action names are equal actions. Gives the view, or throws the refusal. */
  execute(actionName: string, action: BenchAction = {}): OperationView {
    this.#count += 1;
    const token = `token-${this.#count}`;
    this.send({ kind: 'execute', token, submission: this.#submission(actionName, action) });
    return this.#answerOf(token);
  }

  attach(name: string): OperationView {
    this.#count += 1;
    const token = `token-${this.#count}`;
    this.send({ kind: 'attach', token, name });
    return this.#answerOf(token);
  }

  reply(offer: Offer, outcome: OfferReply_Outcome | undefined, message = ''): void {
    const { operationName, epoch, workerId } = offer;
    const reply: OfferReply | undefined = outcome === undefined ? undefined : { outcome, message };
    this.send({ kind: 'offerReply', operationName, epoch, workerId, reply });
  }

  /** The worker accepts the offer and shows it from now on. */
  accept(offer: Offer): Offer {
    const { operationName, epoch, workerId } = offer;
    this.workers.get(workerId)?.leases.push({ operationName, epoch });
    this.reply(offer, OfferReply_Outcome.ACCEPTED);
    return offer;
  }

  /** Sends a commit and gives its token. */
  commit({ operationName, epoch, workerId, incarnation }: Offer, changes: Partial<Commit> = {}): string {
    this.#count += 1;
    const token = `commit-${this.#count}`;
    const commit: Commit = {
      operationName,
      epoch,
      workerId,
      incarnation,
      outcome: { $case: 'response', value: executeResponse() },
      uncacheableReason: '',
      ...changes,
    };
    this.send({ kind: 'commit', token, commit });
    return token;
  }

  prepared(
    { operationName, epoch }: Offer,
    response: ExecuteResponse = executeResponse(),
    cached = true,
  ): void {
    this.send({ kind: 'commitPrepared', operationName, epoch, response, responseBytes: 10, cached });
  }

  /** The whole way of a result; the worker shows the lease no more. */
  finish(offer: Offer): CommitReply {
    const token = this.commit(offer);
    this.prepared(offer);
    this.dropLease(offer);
    return this.replyTo(token);
  }

  dropLease({ operationName, workerId }: Offer): void {
    const worker = this.workers.get(workerId);
    if (worker === undefined) return;
    worker.leases = worker.leases.filter((lease) => lease.operationName !== operationName);
  }

  /** The reply to a commit, which must have come. */
  replyTo(token: string): CommitReply {
    const found = this.take('replyCommit').find((command) => command.token === token);
    if (found === undefined) throw new Error(`no reply to ${token}`);
    if (found.reply instanceof Error) throw found.reply;
    return found.reply;
  }

  /** A new scheduler with what the journal holds; workers go on. */
  restartScheduler(): void {
    this.nowMs = this.nowMs / 2;
    this.state = createSchedulerState(this.limits, this.#now());
    this.#commands = [];
    this.send({
      kind: 'restore',
      records: [...this.journal.values()].map((bytes) => OperationRecord.decode(bytes)),
    });
  }

  record(name: string): OperationRecord {
    return OperationRecord.decode(this.journal.get(name)!);
  }

  #submission(actionName: string, action: BenchAction): Submission {
    const properties = Object.entries(action.platform ?? {}).map(([name, value]) => ({ name, value }));
    return {
      name: `operations/${actionName}-${this.#count}`,
      instanceName: action.instanceName ?? '',
      digestFunction: DigestFunction_Value.SHA256,
      actionDigest: { hash: actionName, sizeBytes: 100 },
      doNotCache: action.doNotCache ?? false,
      skipCacheLookup: action.skipCacheLookup ?? false,
      priority: action.priority ?? 0,
      timeout: action.timeoutMs === undefined ? undefined : { seconds: action.timeoutMs / 1000, nanos: 0 },
      requestMetadata: undefined,
      lookedUpAtMs: action.lookedUpAtMs ?? this.nowMs,
      ...parsePlatformRequest({ properties }),
    };
  }

  #answerOf(token: string): OperationView {
    const [refusal] = this.take('refuse').filter((command) => command.token === token);
    if (refusal !== undefined) throw refusal.error;
    const [answer] = this.take('answer').filter((command) => command.token === token);
    if (answer === undefined) throw new Error(`no answer to ${token}`);
    return answer.view;
  }

  #now() {
    return { monotonicMs: this.nowMs, wallMs: this.wallMs };
  }
}
