import { join } from 'node:path';
import { failedPrecondition, invalidArgument, toIngotError } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type {
  AddInputs,
  CollectOutputs,
  LauncherReply,
  LauncherRequest,
  RunCommand,
  RunEnded,
} from '../../proto/gen/ingot/v1/launcher.ts';
import { ProcessesRemain } from './command-run.ts';
import { InputRoot } from './input-root.ts';
import { isGroupOf, type LauncherSetup, type LauncherStart, setUpLauncher } from './launcher-setup.ts';
import { leaseFolderOf } from './lease-folder.ts';
import { removeTree } from './lease-removal.ts';
import { LeaseRun } from './lease-run.ts';
import { OutputScan } from './output-scan.ts';
import { systemError } from './system-error.ts';

/** What a request is answered with. */
export type ReplyContent = NonNullable<LauncherReply['reply']>;

const DONE: ReplyContent = { $case: 'done', value: {} };

/**
 * Serves one agent. States: unconfigured, until the first request, which must be to configure; ready; closed, when the
 * agent has gone and everything it had running is killed.
 */
export class LauncherSession {
  readonly #start: LauncherStart;
  #setup: LauncherSetup | undefined;
  readonly #roots = new Map<string, InputRoot>();
  readonly #runs = new Map<string, LeaseRun>();
  #spoiled = false;

  constructor(start: LauncherStart) {
    this.#start = start;
  }

  /** A slot cannot be used again: this launcher must end, and the next one will pass over the slot's user. */
  get spoiled(): boolean {
    return this.#spoiled;
  }

  /** The replies to one request, in order; the last one ends it. Errors are replies too. */
  async *serve({ request }: LauncherRequest): AsyncGenerator<ReplyContent> {
    try {
      yield* this.#answer(request);
    } catch (error) {
      const { code, message } = toIngotError(systemError(error, request?.$case ?? 'unknown request'));
      yield { $case: 'error', value: { code, message } };
    }
  }

  /** Kills all that runs. */
  close(): void {
    for (const run of this.#runs.values()) run.kill();
    const { cgroups, owners = [] } = this.#setup ?? {};
    cgroups?.tidy((name) => isGroupOf(owners, name));
  }

  async *#answer(request: LauncherRequest['request']): AsyncGenerator<ReplyContent> {
    switch (request?.$case) {
      case 'configure': {
        if (this.#setup !== undefined) throw failedPrecondition('the launcher is configured already');
        this.#setup = await setUpLauncher(request.value, this.#start);
        const slotUids = this.#setup.owners.map((owner) => owner?.userId ?? this.#start.userId ?? 0);
        yield { $case: 'ready', value: { slotUids, limits: [...this.#setup.limits] } };
        return;
      }
      case 'addInputs':
        this.#addInputs(request.value);
        yield DONE;
        return;
      case 'run':
        yield { $case: 'runEnded', value: await this.#run(request.value) };
        return;
      case 'endRun':
        this.#runs.get(request.value.leaseKey)?.end();
        yield DONE;
        return;
      case 'collect':
        yield* this.#collect(request.value);
        return;
      case 'remove':
        await this.#remove(request.value.leaseKey);
        yield DONE;
        return;
      default:
        throw invalidArgument('the launcher does not know this request');
    }
  }

  #addInputs({ leaseKey, slot, entries }: AddInputs): void {
    const setup = this.#ready();
    let root = this.#roots.get(leaseKey);
    if (root === undefined) {
      if (slot >= setup.owners.length) throw invalidArgument(`there is no slot ${slot}`);
      root = new InputRoot({
        folder: leaseFolderOf(setup.workerFolder, leaseKey),
        blobsFolder: join(setup.workerFolder, 'blobs'),
        owner: setup.owners[slot],
      });
      this.#roots.set(leaseKey, root);
    }
    root.add(entries);
  }

  async #run(request: RunCommand): Promise<RunEnded> {
    const setup = this.#ready();
    const { leaseKey } = request;
    if (!this.#roots.has(leaseKey) || this.#runs.has(leaseKey)) {
      throw invalidArgument(`lease ${quote(leaseKey)} has no input root, or runs already`);
    }
    const run = new LeaseRun(setup, request, leaseFolderOf(setup.workerFolder, leaseKey));
    this.#runs.set(leaseKey, run);
    try {
      return await run.run();
    } catch (error) {
      this.#spoiled ||= error instanceof ProcessesRemain;
      throw error;
    } finally {
      this.#runs.delete(leaseKey);
    }
  }

  async *#collect(request: CollectOutputs): AsyncGenerator<ReplyContent> {
    const { workerFolder } = this.#ready();
    if (this.#runs.has(request.leaseKey)) {
      throw failedPrecondition(`lease ${quote(request.leaseKey)} still runs: its outputs may yet change`);
    }
    const scan = new OutputScan(leaseFolderOf(workerFolder, request.leaseKey).root, request);
    for await (const entries of scan.run()) yield { $case: 'outputs', value: { entries } };
    yield DONE;
  }

  async #remove(leaseKey: string): Promise<void> {
    const { path } = leaseFolderOf(this.#ready().workerFolder, leaseKey);
    if (this.#runs.has(leaseKey)) throw failedPrecondition(`lease ${quote(leaseKey)} still runs`);
    this.#roots.delete(leaseKey);
    await removeTree(path);
  }

  #ready(): LauncherSetup {
    if (this.#setup === undefined) throw failedPrecondition('the launcher is not configured');
    return this.#setup;
  }
}
