import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EndedCommand, IngotProcess, ingot } from '../e2e/cli-process.ts';
import { NatsServer } from './nats-server.ts';

/** One role as a process of its own that can be killed and started again on the address it had. */
export class RolePart {
  readonly #args: (endpoints: ReadonlyMap<string, string>) => readonly string[];
  #endpoints: ReadonlyMap<string, string> = new Map();
  #process: IngotProcess | undefined;

  /** `args` makes the command line; it is given the endpoints of the last start, none at the first. */
  constructor(args: (endpoints: ReadonlyMap<string, string>) => readonly string[]) {
    this.#args = args;
  }

  /** Starts it and waits for its `ready` line. */
  async start(): Promise<void> {
    this.#process = new IngotProcess(this.#args(this.#endpoints));
    const words = (await this.#process.line('ready')).split(' ').slice(1);
    this.#endpoints = new Map(words.map((word) => word.split('=') as [string, string]));
  }

  /** `HOST:PORT` it listens on. */
  endpoint(name: 'grpc' | 'http'): string {
    const address = this.#endpoints.get(name);
    if (address === undefined)
      throw new Error(`it has no ${name} endpoint: ${[...this.#endpoints].join(' ')}`);
    return address;
  }

  get pid(): number {
    const pid = this.#process?.child.pid;
    if (pid === undefined) throw new Error('it is not running');
    return pid;
  }

  /** What it has logged since its last start. */
  get log(): string {
    return this.#process?.stderr ?? '';
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL');
    this.#process = undefined;
  }

  /** SIGTERM, and waits until it has drained. */
  async stop(): Promise<EndedCommand | undefined> {
    const ended = await this.#process?.stop('SIGTERM');
    this.#process = undefined;
    return ended;
  }
}

interface ClusterOptions {
  readonly workers?: number;
  /** Further flags of each worker. */
  readonly workerFlags?: readonly string[];
  readonly schedulerFlags?: readonly string[];
  readonly cacheFlags?: readonly string[];
}

/**
 * A farm of separate processes on loopback: a real nats-server, a cache, a scheduler and workers, each with a data
 * folder of its own. Everything is killed and removed at the end.
 */
export class Cluster implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly cache: RolePart;
  readonly scheduler: RolePart;
  readonly workers: readonly RolePart[];
  /** For files of the test; removed with the rest. */
  readonly folder: string;

  private constructor(nats: NatsServer, folder: string, options: ClusterOptions) {
    const { workers = 1, workerFlags = [], schedulerFlags = [], cacheFlags = [] } = options;
    const data = (name: string) => ['--data', join(folder, name)];
    this.nats = nats;
    this.folder = folder;
    this.cache = new RolePart((last) => [
      'cache',
      ...data('cache'),
      '--grpc',
      last.get('grpc') ?? '127.0.0.1:0',
      '--http',
      last.get('http') ?? '127.0.0.1:0',
      ...cacheFlags,
    ]);
    const cacheFlag = () => ['--cache', this.cache.endpoint('grpc'), '--nats', nats.url];
    this.scheduler = new RolePart((last) => [
      'scheduler',
      ...data('scheduler'),
      '--grpc',
      last.get('grpc') ?? '127.0.0.1:0',
      ...cacheFlag(),
      ...schedulerFlags,
    ]);
    this.workers = Array.from(
      { length: workers },
      (_, index) =>
        new RolePart(() => ['worker', ...data(`worker-${index + 1}`), ...cacheFlag(), ...workerFlags]),
    );
  }

  /** Starts every part and waits until all are ready. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'ingot-cluster-'));
    const cluster = new Cluster(await NatsServer.start(), folder, options);
    try {
      await mkdir(join(folder, 'client'));
      await cluster.cache.start();
      await cluster.scheduler.start();
      for (const worker of cluster.workers) await worker.start();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** A client command started in `folder/client`, its output readable as it comes. */
  client(...args: readonly string[]): IngotProcess {
    return new IngotProcess(['--endpoint', this.scheduler.endpoint('grpc'), ...args], {
      cwd: join(this.folder, 'client'),
    });
  }

  /** `ingot ARGS…` against this farm, to its end. */
  ingot(...args: readonly string[]): Promise<EndedCommand> {
    return ingot(['--endpoint', this.scheduler.endpoint('grpc'), ...args], {
      cwd: join(this.folder, 'client'),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of [...this.workers, this.scheduler, this.cache]) await part.kill();
    await this.nats[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
