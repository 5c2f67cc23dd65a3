import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InProcessMessageBus } from '../../core/bus/in-process-message-bus.ts';
import { readConfig } from '../../core/config/config.ts';
import type { Digest } from '../../core/digest.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import type { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Commit } from '../../proto/gen/ingot/v1/bus.ts';
import { workerConfigSchema } from '../../worker/config.ts';
import { composeWorker, type WorkerRole } from '../../worker/main.ts';
import { ImageWatch } from '../../worker/sandbox/image-watch.ts';
import { MemoryBlobStore } from '../setup/memory-blob-store.ts';
import { type RecordingLogger, recordingLogger } from '../setup/recording-logger.ts';
import { FakeScheduler, type OfferOptions } from './fake-scheduler.ts';
import { MemoryLogStreams } from './memory-log-streams.ts';
import { type ActionSketch, storeAction } from './stored-action.ts';

/** A worker with everything around it, made for one test file. */
export class RunningWorker implements AsyncDisposable {
  readonly store = new MemoryBlobStore();
  readonly logStreams = new MemoryLogStreams();
  readonly logger: RecordingLogger = recordingLogger();
  readonly lifecycle = new Lifecycle({ logger: this.logger });
  readonly bus = new InProcessMessageBus({ logger: this.logger });
  readonly folder: string;
  scheduler!: FakeScheduler;
  role!: WorkerRole;
  /** What the host's programs are called; a test may change it. */
  imageName = 'host-0123456789ab';
  #operations = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Flags as people write them, without the dashes. A worker that refuses to start leaves nothing behind. */
  static async start(
    flags: Readonly<Record<string, unknown>> = {},
    prepare: (data: string) => Promise<void> = async () => undefined,
  ): Promise<RunningWorker> {
    const worker = new RunningWorker(await mkdtemp(join(tmpdir(), 'ingot-worker-')));
    try {
      await shareCompiledCode(worker.folder);
      await prepare(worker.folder);
      worker.scheduler = await FakeScheduler.listen(worker.bus);
      const config = readConfig({
        schema: workerConfigSchema,
        environment: {},
        flags: { data: worker.folder, workerId: 'w1', slots: 2, diskFree: '0', killGrace: '200ms', ...flags },
      });
      worker.role = await composeWorker(
        config,
        { logger: worker.logger, lifecycle: worker.lifecycle },
        {
          blobStoreOf: () => worker.store,
          logStreams: worker.logStreams,
          bus: worker.bus,
          image: worker.#image(),
        },
      );
      return worker;
    } catch (error) {
      await worker[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Offers the action and waits for its commit. */
  async commitOf(sketch: ActionSketch, options: OfferOptions = {}): Promise<Commit> {
    return await this.commitOfStored(storeAction(this.store, sketch), options);
  }

  /** The same for an action that is in the store already, or ought to be. */
  async commitOfStored(actionDigest: Digest, options: OfferOptions = {}): Promise<Commit> {
    this.#operations += 1;
    const operationName = options.operationName ?? `operations/${this.#operations}`;
    const reply = await this.scheduler.offer(actionDigest, { ...options, operationName });
    if (reply.message !== '') throw new Error(`offer refused: ${reply.message}`);
    const commit = await this.scheduler.commitOf(operationName);
    const isHeld = () => this.scheduler.worker.leases.some((lease) => lease.operationName === operationName);
    await this.scheduler.until(() => !isHeld());
    return commit;
  }

  /** Runs the action; a handback fails the test. */
  async run(sketch: ActionSketch, options: OfferOptions = {}): Promise<ExecuteResponse> {
    const { outcome } = await this.commitOf(sketch, options);
    if (outcome?.$case === 'response') return outcome.value;
    throw new Error(`expected a response, got ${JSON.stringify(outcome)}`);
  }

  /** Runs a shell script; what it printed, with its exit code when that is not 0. */
  async shell(script: string, sketch: Partial<ActionSketch> = {}): Promise<string> {
    const { result, status } = await this.run({ ...sketch, arguments: ['/bin/sh', '-c', script] });
    if (status !== undefined) throw new Error(`${status.code}: ${status.message}`);
    const text = Buffer.from(result!.stdoutRaw).toString() + Buffer.from(result!.stderrRaw).toString();
    return result!.exitCode === 0 ? text : `${text}[exit code ${result!.exitCode}]`;
  }

  /** Instead of looking at the host, which takes half a second. */
  #image(): ImageWatch {
    return new ImageWatch({ identify: async () => this.imageName, machineRoot: this.folder });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lifecycle.shutdown({ deadlineMs: 20_000 });
    await this.bus.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The launcher is compiled once for all tests of this machine, which takes 0.4 s. */
async function shareCompiledCode(data: string): Promise<void> {
  const shared = join(tmpdir(), `ingot-test-compile-cache-${process.getuid?.()}`);
  await mkdir(shared, { recursive: true, mode: 0o700 });
  await symlink(shared, join(data, 'compile-cache'));
}
