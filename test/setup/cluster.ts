import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FarmConnection } from '../../cli/client/farm-connection.ts';
import type { ChannelSecurityOptions } from '../../cli/client/open-channel-security.ts';
import type { FarmStatus } from '../../proto/gen/ingot/v1/farm.ts';
import { type EndedCommand, IngotProcess } from '../e2e/cli-process.ts';
import { NatsServer } from './nats-server.ts';
import { waitUntil } from './wait-until.ts';

const LOG_LINES_SHOWN = 40;

/** One line of a log in JSON. */
export type LogRecord = Readonly<Record<string, unknown>> & { readonly message: string };

/** One role as a process of its own that can be killed and started again on the address it had. */
export class RolePart {
  readonly #args: (endpoints: ReadonlyMap<string, string>) => readonly string[];
  #endpoints: ReadonlyMap<string, string> = new Map();
  #process: IngotProcess | undefined;
  #earlierLogs = '';

  /** `args` makes the command line; it is given the endpoints of the last start, none at the first. */
  constructor(args: (endpoints: ReadonlyMap<string, string>) => readonly string[]) {
    this.#args = args;
  }

  /** Starts it, with further flags for this once, and waits for its `ready` line. */
  async start(flags: readonly string[] = []): Promise<void> {
    this.#earlierLogs += this.log;
    this.#process = new IngotProcess([...this.#args(this.#endpoints), ...flags]);
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

  /** False before the start, and once the process has ended, whoever ended it. */
  get isRunning(): boolean {
    const child = this.#process?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** What it has logged since its last start. */
  get log(): string {
    return this.#process?.stderr ?? '';
  }

  /** What it has logged over all starts; lines that are not JSON are left out. */
  get records(): LogRecord[] {
    const lines = (this.#earlierLogs + this.log).split('\n').filter((line) => line.startsWith('{'));
    return lines.flatMap((line) => {
      try {
        return [JSON.parse(line) as LogRecord];
      } catch {
        // The last words of a process that was killed over them.
        return [];
      }
    });
  }

  /** Waits for a line with this message and these fields, over all starts. */
  logged(message: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogRecord> {
    const fits = (record: LogRecord) =>
      record.message === message && Object.entries(fields).every(([name, value]) => record[name] === value);
    return waitUntil(`the log line "${message}" ${JSON.stringify(fields)}`, () => this.records.find(fits));
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM, and waits until it has drained. */
  async stop(): Promise<EndedCommand | undefined> {
    return await this.#end('SIGTERM');
  }

  /** Waits until it ends of itself. */
  async died(): Promise<EndedCommand | undefined> {
    return await this.#process?.ended;
  }

  async #end(signal: NodeJS.Signals): Promise<EndedCommand | undefined> {
    const ended = await this.#process?.stop(signal);
    this.#earlierLogs += this.log;
    this.#process = undefined;
    return ended;
  }
}

/** Of what a farm is made. */
export interface ClusterOptions {
  readonly workers?: number;
  /** Further flags of each worker. */
  readonly workerFlags?: readonly string[];
  readonly schedulerFlags?: readonly string[];
  readonly cacheFlags?: readonly string[];
  /** How clients of this process prove who they are. Default: not at all, over clear text. */
  readonly client?: Partial<ChannelSecurityOptions>;
  /** Scheme of the cache's address for the other parts, such as `grpcs://`. */
  readonly cacheScheme?: string;
}

/**
 * A farm of separate processes on loopback: a real nats-server, a cache, a scheduler and workers, each with a data
 * folder of its own. The workers are `worker-1` and so on, and offer that as the property `part`. Everything is killed
 * and removed at the end.
 */
export class Cluster implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly cache: RolePart;
  readonly scheduler: RolePart;
  readonly workers: readonly RolePart[];
  /** For files of the test; removed with the rest. */
  readonly folder: string;
  readonly #clients: IngotProcess[] = [];
  readonly #security: ChannelSecurityOptions;

  private constructor(nats: NatsServer, folder: string, options: ClusterOptions) {
    const { workers = 1, workerFlags = [], schedulerFlags = [], cacheFlags = [], cacheScheme = '' } = options;
    this.#security = { tls: false, ...options.client };
    const data = (name: string) => ['--data', join(folder, name), '--log-format', 'json'];
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
    const cacheFlag = () => ['--cache', cacheScheme + this.cache.endpoint('grpc'), '--nats', nats.url];
    this.scheduler = new RolePart((last) => [
      'scheduler',
      ...data('scheduler'),
      '--grpc',
      last.get('grpc') ?? '127.0.0.1:0',
      ...cacheFlag(),
      ...schedulerFlags,
    ]);
    this.workers = Array.from({ length: workers }, (_, index) => {
      const id = `worker-${index + 1}`;
      const identity = ['--worker-id', id, '--property', `part=${id}`];
      return new RolePart(() => ['worker', ...data(id), ...identity, ...cacheFlag(), ...workerFlags]);
    });
  }

  /** Starts every part and waits until the scheduler knows all workers. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'ingot-cluster-'));
    const cluster = new Cluster(await NatsServer.start(), folder, options);
    try {
      await mkdir(cluster.clientFolder);
      await cluster.cache.start();
      await Promise.all([cluster.scheduler, ...cluster.workers].map((part) => part.start()));
      await cluster.allKnown();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** What every part has logged of late, for the person who looks at a failed test. */
  get logs(): string {
    const tail = (name: string, { records }: RolePart) =>
      [`${name}:`, ...records.slice(-LOG_LINES_SHOWN).map((record) => JSON.stringify(record))].join('\n');
    const workers = this.workers.map((worker, index) => tail(`worker-${index + 1}`, worker));
    return [tail('cache', this.cache), tail('scheduler', this.scheduler), ...workers].join('\n');
  }

  /** Where client commands are started. */
  get clientFolder(): string {
    return join(this.folder, 'client');
  }

  /** The farm's word on itself. */
  async status(): Promise<FarmStatus> {
    await using farm = this.connect();
    const status = await farm.status();
    if (status === undefined) throw new Error('what answers is not ingot');
    return status;
  }

  /** Waits until the scheduler has heard of every worker that runs. */
  async allKnown(): Promise<void> {
    const ids = this.workers.flatMap(({ isRunning }, index) => (isRunning ? [`worker-${index + 1}`] : []));
    await waitUntil(`the scheduler to know ${ids.join(' and ')}`, async () => {
      const known = new Set((await this.status()).workers.map(({ workerId }) => workerId));
      return ids.every((id) => known.has(id));
    });
  }

  /** Starts every part that does not run, as a service manager would. */
  async mend(): Promise<void> {
    for (const part of [this.cache, this.scheduler, ...this.workers]) {
      if (!part.isRunning) await part.start();
    }
    await this.allKnown();
  }

  /** A connection of this process to the farm. */
  connect(): FarmConnection {
    const endpoint = this.scheduler.endpoint('grpc');
    return new FarmConnection({ endpoint, instanceName: '', security: this.#security }, { version: 'test' });
  }

  /** A client command started in `folder/client`, its output readable as it comes. */
  client(...args: readonly string[]): IngotProcess {
    const client = new IngotProcess(['--endpoint', this.scheduler.endpoint('grpc'), ...args], {
      cwd: this.clientFolder,
      environment: { XDG_CACHE_HOME: join(this.folder, 'client-cache') },
    });
    this.#clients.push(client);
    return client;
  }

  /** `ingot ARGS…` against this farm, to its end. */
  ingot(...args: readonly string[]): Promise<EndedCommand> {
    return this.client(...args).ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A test that failed leaves its clients behind.
    for (const client of this.#clients) await client.stop('SIGKILL');
    for (const part of [...this.workers, this.scheduler, this.cache]) await part.kill();
    await this.nats[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
