import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { RetryPolicy } from '../../core/rpc/rpc-retry-policy.ts';
import { RolePart } from './cluster.ts';
import { tempFolder } from './temp-folder.ts';

/** Faults are to be seen as they are, not smoothed over by a client that tries again. */
const ONE_TRY: RetryPolicy = { attemptsMax: 1, firstBackoffMs: 1, backoffMsMax: 1 };

/** Of what a node is made. */
export interface TierNodeOptions {
  /** `s3://…` */
  readonly tier: string;
  readonly endpoint: string;
  readonly flags?: readonly string[];
}

/** An `ingot cache` process over an object store, and a client of it. It can be killed and started again. */
export class TierNode implements AsyncDisposable {
  readonly part: RolePart;
  readonly #stack: AsyncDisposableStack;
  #channel: RpcChannel | undefined;

  private constructor(part: RolePart, stack: AsyncDisposableStack) {
    this.part = part;
    this.#stack = stack;
  }

  static async start({ tier, endpoint, flags = [] }: TierNodeOptions): Promise<TierNode> {
    const stack = new AsyncDisposableStack();
    const { path } = stack.use(await tempFolder());
    const part = new RolePart((last) => [
      ...['cache', '--data', path, '--log-format', 'json', '--log-level', 'debug'],
      ...['--grpc', last.get('grpc') ?? '127.0.0.1:0', '--http', last.get('http') ?? '127.0.0.1:0'],
      ...['--tier', tier, '--tier-endpoint', endpoint, ...flags],
    ]);
    const node = new TierNode(part, stack);
    stack.defer(() => part.kill());
    await part.start();
    return node;
  }

  get address(): string {
    return this.part.endpoint('grpc');
  }

  get store(): GrpcBlobStore {
    return new GrpcBlobStore({ channel: this.channel, instanceName: '', retry: ONE_TRY });
  }

  get actionCache(): GrpcActionCache {
    return new GrpcActionCache({ channel: this.channel });
  }

  get channel(): RpcChannel {
    this.#channel ??= this.#stack.use(new RpcChannel({ address: this.address, retry: ONE_TRY }));
    return this.#channel;
  }

  /** The tier's part of /status. */
  async status(): Promise<Readonly<Record<string, number | boolean>>> {
    const answer = await fetch(`http://${this.part.endpoint('http')}/status`);
    const { tier } = (await answer.json()) as { tier: Record<string, number | boolean> };
    return tier;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
