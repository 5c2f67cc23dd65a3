import { IngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Commit, CommitReply } from '../../proto/gen/ingot/v1/bus.ts';
import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { Clock } from '../clock.ts';
import type { Journal } from '../journal.ts';
import type { SchedulerCommand } from '../state/scheduler-command.ts';
import type { SchedulerEvent, Submission } from '../state/scheduler-event.ts';
import type { SchedulerState } from '../state/scheduler-state.ts';
import { unknownOperation } from '../state/unknown-operation.ts';
import type { CommitFiler } from './commit-filer.ts';
import { OperationWatch } from './operation-watch.ts';
import type { StateDriver } from './state-driver.ts';
import type { WorkerLink } from './worker-link.ts';

/** When a client may come back to a scheduler that stops or cannot write. */
const RETRY_DELAY_MS = 2_000;

/** What {@link Scheduler} depends on. */
export interface SchedulerDependencies {
  readonly state: SchedulerState;
  readonly driver: StateDriver;
  readonly journal: Journal;
  readonly link: WorkerLink;
  readonly filer: CommitFiler;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unique strings, for tokens. */
  readonly newId: () => string;
}

/**
 * The scheduler at work: feeds the state machine with what clients and workers say, and carries out what it decides.
 * States: new; open (from `open`); draining (from `drain`: no client is served, workers are); closed.
 */
export class Scheduler implements AsyncDisposable {
  readonly #dependencies: SchedulerDependencies;
  readonly #watches = new Map<string, Set<OperationWatch>>();
  readonly #answers = new Map<string, PromiseWithResolvers<OperationWatch>>();
  readonly #commits = new Map<string, PromiseWithResolvers<CommitReply>>();
  readonly #filing = new AbortController();
  #draining: IngotError | undefined;
  #ticking: NodeJS.Timeout | undefined;

  constructor(dependencies: SchedulerDependencies) {
    this.#dependencies = dependencies;
    dependencies.driver.onCommand((command) => this.#carryOut(command));
  }

  /** What it knows, to look at. */
  get state(): SchedulerState {
    return this.#dependencies.state;
  }

  /** Takes up what the journal holds, then listens to workers. */
  async open(): Promise<void> {
    const { journal, driver, link, state, logger } = this.#dependencies;
    const records: OperationRecord[] = [];
    for await (const record of journal.load()) records.push(record);
    driver.handle({ kind: 'restore', records });
    if (records.length > 0) logger.info({ operations: records.length }, 'took up the journal');
    await link.open({
      onHeartbeat: (heartbeat) => driver.handle({ kind: 'heartbeat', heartbeat }),
      onProgress: (progress) => driver.handle({ kind: 'progress', progress }),
      onCommit: (commit) => this.#commit(commit),
      onOfferReply: ({ operationName, epoch, workerId }, reply) =>
        driver.handle({ kind: 'offerReply', operationName, epoch, workerId, reply }),
    });
    this.#ticking = setInterval(() => driver.handle({ kind: 'tick' }), state.limits.tickMs);
  }

  /** Has an action run, or joins its run; resolves once that survives any restart. Close the watch. */
  execute(submission: Submission, options: IoOptions = {}): Promise<OperationWatch> {
    return this.#ask((token) => ({ kind: 'execute', token, submission }), options);
  }

  /** Joins a run under way in place of an execute of one's own. Close the watch. */
  join(name: string, joinPriority: number, options: IoOptions = {}): Promise<OperationWatch> {
    return this.#ask((token) => ({ kind: 'attach', token, name, joinPriority }), options);
  }

  /** Waits for a known operation; NOT_FOUND otherwise. Close the watch. */
  watch(name: string, options: IoOptions = {}): Promise<OperationWatch> {
    return this.#ask((token) => ({ kind: 'attach', token, name }), options);
  }

  /** Ends an operation for all who wait for it; NOT_FOUND when there is none. */
  async cancel(name: string, reason: string): Promise<void> {
    this.#checkKnown(name);
    this.#dependencies.driver.handle({ kind: 'cancel', name, reason });
    await this.#dependencies.driver.settled();
  }

  /** Drops a finished operation; one that is not goes on. NOT_FOUND when there is none. */
  async forget(name: string): Promise<void> {
    this.#checkKnown(name);
    this.#dependencies.driver.handle({ kind: 'forget', name });
    await this.#dependencies.driver.settled();
  }

  /** Resolves when everything decided so far is durable. */
  async settled(): Promise<void> {
    await this.#dependencies.driver.settled();
  }

  /** Turns clients away from now on, and ends their waiting; what runs goes on. */
  drain(): void {
    this.#draining ??= unavailable(
      'the scheduler is shutting down; accepted operations go on when it is back',
      {
        details: [retryInfo(RETRY_DELAY_MS)],
      },
    );
    for (const watches of this.#watches.values()) for (const watch of watches) watch.fail(this.#draining);
    for (const answer of this.#answers.values()) answer.reject(this.#draining);
    this.#answers.clear();
  }

  async close(): Promise<void> {
    const { link, driver, journal } = this.#dependencies;
    this.drain();
    clearInterval(this.#ticking);
    this.#filing.abort(this.#draining);
    for (const commit of this.#commits.values()) commit.reject(this.#draining);
    this.#commits.clear();
    await link.close();
    await driver.close();
    await journal.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkKnown(name: string): void {
    if (!this.state.operations.has(name)) throw unknownOperation(name);
  }

  async #ask(event: (token: string) => SchedulerEvent, { signal }: IoOptions): Promise<OperationWatch> {
    const { driver, newId } = this.#dependencies;
    if (this.#draining !== undefined) throw this.#draining;
    if (driver.journalError !== undefined) throw cannotAccept(driver.journalError);
    const token = newId();
    const answer = Promise.withResolvers<OperationWatch>();
    this.#answers.set(token, answer);
    driver.handle(event(token));
    const watch = await answer.promise;
    // Whoever asked may have gone in the meantime; then nobody else would close it.
    if (signal?.aborted) watch.close();
    return watch;
  }

  async #commit(commit: Commit): Promise<CommitReply> {
    const { driver, newId } = this.#dependencies;
    if (driver.journalError !== undefined) throw cannotAccept(driver.journalError);
    const token = newId();
    const reply = Promise.withResolvers<CommitReply>();
    this.#commits.set(token, reply);
    driver.handle({ kind: 'commit', token, commit });
    return await reply.promise;
  }

  #carryOut(command: SchedulerCommand): void {
    const { link, logger } = this.#dependencies;
    switch (command.kind) {
      case 'offer':
        link.offer(command.offer);
        break;
      case 'cancelLease':
        link.cancelLease(command.workerId, command.cancel);
        break;
      case 'answer':
        this.#answer(command.token, this.#newWatch(command.view));
        break;
      case 'refuse':
        this.#answers.get(command.token)?.reject(command.error);
        this.#answers.delete(command.token);
        break;
      case 'notify':
        for (const watch of this.#watches.get(command.view.name) ?? []) watch.push(command.view);
        break;
      case 'prepareCommit':
        void this.#prepareCommit(command.record, command.commit);
        break;
      case 'replyCommit':
        this.#replyCommit(command.token, command.reply);
        break;
      case 'log':
        logger[command.level](command.fields, command.message);
        break;
    }
  }

  #newWatch(view: OperationWatch['view']): OperationWatch {
    const { name } = view;
    const watches = this.#watches.get(name) ?? new Set();
    const watch = new OperationWatch(view, (closed) => {
      watches.delete(closed);
      if (watches.size === 0 && this.#watches.get(name) === watches) this.#watches.delete(name);
      this.#dependencies.driver.handle({ kind: 'detach', name });
    });
    watches.add(watch);
    this.#watches.set(name, watches);
    return watch;
  }

  #answer(token: string, watch: OperationWatch): void {
    const answer = this.#answers.get(token);
    this.#answers.delete(token);
    // Without an entry the asker was turned away by `drain`; the process ends soon, and with it the waiter.
    answer?.resolve(watch);
  }

  async #prepareCommit(record: OperationRecord, commit: Commit): Promise<void> {
    const { filer, driver, logger } = this.#dependencies;
    const { operationName, epoch, workerId } = commit;
    const filed = await filer.file(record, commit, { signal: this.#filing.signal });
    if (filed.kind === 'filed') {
      const { response, responseBytes, cached } = filed;
      driver.handle({ kind: 'commitPrepared', operationName, epoch, response, responseBytes, cached });
      return;
    }
    const { reason, retry } = filed;
    const fields = { operation: operationName, epoch, worker: workerId, reason, retry };
    logger.warn(fields, 'a result was not taken');
    driver.handle({ kind: 'commitFailed', operationName, epoch, reason, retry });
  }

  #replyCommit(token: string, reply: CommitReply | IngotError): void {
    const waiting = this.#commits.get(token);
    this.#commits.delete(token);
    if (reply instanceof IngotError) waiting?.reject(reply);
    else waiting?.resolve(reply);
  }
}

/** A full disk is named as such; any other trouble of the journal passes, or a person mends it. */
function cannotAccept(journalError: IngotError): IngotError {
  const code = journalError.code === Code.RESOURCE_EXHAUSTED ? journalError.code : Code.UNAVAILABLE;
  return new IngotError(code, `the scheduler cannot accept anything at present: ${journalError.message}`, {
    details: [retryInfo(RETRY_DELAY_MS)],
  });
}
