import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import {
  type Digest as DigestMessage,
  ExecuteRequest,
  ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { IngotProcess } from '../e2e/cli-process.ts';

/** How a server under test differs from one that a user starts. */
export interface ServerUnderFaultOptions {
  /** `cache`, or `up` for a whole farm. Default `cache`. */
  readonly role?: 'cache' | 'up';
  /** Flags of the role besides those for folder and addresses. */
  readonly flags?: readonly string[];
  /** Where it dies; see core/fail-point.ts. */
  readonly fail?: string;
  /** Where gRPC listens. Default: loopback, any port. */
  readonly grpc?: string;
  /** As of an {@link IngotProcess}. */
  readonly isTimed?: boolean;
  /** Addresses of an earlier one on the same folder, for clients that come back. */
  readonly at?: ServerUnderFault;
}

/** An `ingot cache` or `ingot up` as a user starts it, to be hurt, with clients to it. */
export class ServerUnderFault implements AsyncDisposable {
  readonly data: string;
  readonly process: IngotProcess;
  /** `HOST:PORT`s. */
  readonly grpc: string;
  readonly http: string;
  /** From start to serving. */
  readonly readyMs: number;
  readonly channel: RpcChannel;
  readonly blobs: GrpcBlobStore;
  readonly results: GrpcActionCache;

  private constructor(
    data: string,
    process: IngotProcess,
    ready: ReadonlyMap<string, string>,
    readyMs: number,
  ) {
    this.data = data;
    this.process = process;
    this.grpc = ready.get('grpc') ?? '';
    this.http = ready.get('http') ?? '';
    this.readyMs = readyMs;
    this.channel = new RpcChannel({ address: this.grpc });
    this.blobs = new GrpcBlobStore({ channel: this.channel, instanceName: '' });
    this.results = new GrpcActionCache({ channel: this.channel });
  }

  static async start(data: string, options: ServerUnderFaultOptions = {}): Promise<ServerUnderFault> {
    const { role = 'cache', flags = [], fail, isTimed = false, at } = options;
    const grpc = at?.grpc ?? options.grpc ?? '127.0.0.1:0';
    const http = at?.http ?? '127.0.0.1:0';
    const startedMs = performance.now();
    const process = new IngotProcess([role, '--data', data, '--grpc', grpc, '--http', http, ...flags], {
      environment: fail === undefined ? {} : { INGOT_FAIL: fail },
      isTimed,
    });
    const words = (await process.line('ready')).split(' ').slice(1);
    const ready = new Map(words.map((word) => word.split('=') as [string, string]));
    return new ServerUnderFault(data, process, ready, performance.now() - startedMs);
  }

  /** The cache's part of the data folder. */
  folder(...names: readonly string[]): string {
    return join(this.data, 'cache', ...names);
  }

  /** Resident memory now. */
  residentBytes(): Promise<number> {
    return this.#memory('VmRSS');
  }

  /** The most it ever had. */
  peakBytes(): Promise<number> {
    return this.#memory('VmHWM');
  }

  /** What it says of itself on /status. */
  async status(): Promise<Record<string, unknown>> {
    return (await (await fetch(`http://${this.http}/status`)).json()) as Record<string, unknown>;
  }

  /** Executes an action that is stored already; for what is refused. */
  execute(actionDigest: DigestMessage): Promise<Operation[]> {
    const request = ExecuteRequest.fromPartial({ actionDigest, skipCacheLookup: true });
    return Array.fromAsync(this.channel.client(ExecutionDefinition).execute(request));
  }

  /** Resolves with the signal that it died by. */
  async died(): Promise<NodeJS.Signals | null> {
    return (await this.process.ended).signal;
  }

  /** Ends it as a power loss of the process would. */
  async kill(): Promise<void> {
    await this.process.stop('SIGKILL');
  }

  async #memory(name: 'VmRSS' | 'VmHWM'): Promise<number> {
    const status = await readFile(`/proc/${this.process.child.pid}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    await this.process.stop('SIGKILL');
  }
}
