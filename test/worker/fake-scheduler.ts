import type { MessageBus } from '../../core/bus/message-bus.ts';
import type { Digest } from '../../core/digest.ts';
import {
  CancelLease,
  CancelLeaseReply,
  Commit,
  CommitReply,
  CommitReply_Outcome,
  Offer,
  OfferReply,
  Progress,
  type Resources,
  WorkerHeartbeat,
} from '../../proto/gen/ingot/v1/bus.ts';

/** What an offer may say besides what every one does. */
export interface OfferOptions {
  readonly operationName?: string;
  readonly epoch?: number;
  readonly reserved?: Partial<Resources>;
  readonly workerId?: string;
  readonly incarnation?: string;
}

/** The scheduler's end of the bus, by hand: it records what the worker says and sends what a test tells it to. */
export class FakeScheduler {
  readonly heartbeats: WorkerHeartbeat[] = [];
  readonly commits: Commit[] = [];
  readonly progress: Progress[] = [];
  /** How commits are answered; one that throws leaves the worker without an answer. */
  answer: (commit: Commit) => CommitReply = () => ({ outcome: CommitReply_Outcome.ACCEPTED, message: '' });
  readonly #bus: MessageBus;
  readonly #listeners = new Set<() => void>();
  #operations = 0;

  private constructor(bus: MessageBus) {
    this.#bus = bus;
  }

  static async listen(bus: MessageBus): Promise<FakeScheduler> {
    const scheduler = new FakeScheduler(bus);
    await bus.subscribe('worker.heartbeat', async ({ payload }) => {
      scheduler.#tell(scheduler.heartbeats, WorkerHeartbeat.decode(payload));
      return undefined;
    });
    await bus.subscribe('scheduler.progress', async ({ payload }) => {
      scheduler.#tell(scheduler.progress, Progress.decode(payload));
      return undefined;
    });
    await bus.subscribe('scheduler.commit', async ({ payload }) => {
      const commit = Commit.decode(payload);
      scheduler.#tell(scheduler.commits, commit);
      return CommitReply.encode(scheduler.answer(commit)).finish();
    });
    return scheduler;
  }

  /** The newest heartbeat. */
  get worker(): WorkerHeartbeat {
    return this.heartbeats.at(-1)!;
  }

  /** Resolves once the condition holds, looked at after each message. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const listener = (): void => {
        if (!condition()) return;
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
    });
  }

  async offer(actionDigest: Digest, options: OfferOptions = {}): Promise<OfferReply> {
    await this.until(() => this.heartbeats.length > 0);
    const { workerId, incarnation } = this.worker;
    this.#operations += 1;
    const operationName = options.operationName ?? `operations/test-${this.#operations}`;
    const payload = Offer.encode(
      Offer.create({
        operationName,
        epoch: options.epoch ?? 1,
        attempt: 1,
        actionDigest: actionDigest.toMessage(),
        digestFunction: actionDigest.digestFunction,
        reserved: { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [], ...options.reserved },
        stdoutStreamName: `logs/${operationName.split('/')[1]}/stdout`,
        stderrStreamName: `logs/${operationName.split('/')[1]}/stderr`,
        workerId: options.workerId ?? workerId,
        incarnation: options.incarnation ?? incarnation,
      }),
    ).finish();
    const reply = await this.#bus.request(`worker.${workerId}.offer`, payload, { timeoutMs: 2000 });
    return OfferReply.decode(reply);
  }

  async cancel(operationName: string, epoch = 1): Promise<CancelLeaseReply> {
    const payload = CancelLease.encode({ operationName, epoch, reason: 'a client cancelled it' }).finish();
    const subject = `worker.${this.worker.workerId}.cancel`;
    return CancelLeaseReply.decode(await this.#bus.request(subject, payload, { timeoutMs: 2000 }));
  }

  /** The commit of an operation, when it has come. */
  async commitOf(operationName: string): Promise<Commit> {
    const find = (): Commit | undefined =>
      this.commits.find((commit) => commit.operationName === operationName);
    await this.until(() => find() !== undefined);
    return find()!;
  }

  #tell<T>(list: T[], message: T): void {
    list.push(message);
    for (const listener of [...this.#listeners]) listener();
  }
}
