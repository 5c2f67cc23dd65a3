import type { BlobStore } from '../../cache/blob-store.ts';
import { delay, linkedAbort } from '../../core/abort.ts';
import { cancelled } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type {
  ActionResult,
  ExecuteOperationMetadata,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ExecutionStage_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { showRest } from './final-output.ts';
import { LogFollower } from './log-follower.ts';

/** Once an action is done its log streams end by themselves; what has not come by then is shown from the result. */
const LAST_WORDS_MS = 1_000;

const STREAMS = ['stdout', 'stderr'] as const;
type StreamName = (typeof STREAMS)[number];

interface LiveOutputOptions {
  readonly byteStream: ServiceClient<ByteStreamDefinition>;
  readonly store: BlobStore;
  readonly write: (stream: StreamName, bytes: Uint8Array) => Promise<void>;
  readonly warn: (text: string) => void;
}

interface Following {
  readonly follower: LogFollower;
  readonly over: Promise<void>;
}

/** Shows an action's stdout and stderr while it runs, and at its end whatever of them was not shown yet. */
export class LiveOutput implements Disposable {
  readonly #options: LiveOutputOptions;
  readonly #abort = linkedAbort();
  readonly #following = new Map<StreamName, Following>();

  constructor(options: LiveOutputOptions) {
    this.#options = options;
  }

  /** Begins to follow once the action runs. */
  update(metadata: ExecuteOperationMetadata | undefined): void {
    if (metadata?.stage !== ExecutionStage_Value.EXECUTING) return;
    this.#start('stdout', metadata.stdoutStreamName);
    this.#start('stderr', metadata.stderrStreamName);
  }

  /** The action is done: shows the rest of its output. */
  async finish(result: ActionResult | undefined, options: IoOptions = {}): Promise<void> {
    const all = Promise.all([...this.#following.values()].map(({ over }) => over));
    await Promise.race([all, delay(LAST_WORDS_MS, { signal: this.#abort.signal }).catch(() => undefined)]);
    this.#abort.abort(cancelled('the action is over'));
    await all;
    if (result === undefined) return;
    await this.#showRest('stdout', { raw: result.stdoutRaw, digest: result.stdoutDigest }, options);
    await this.#showRest('stderr', { raw: result.stderrRaw, digest: result.stderrDigest }, options);
  }

  [Symbol.dispose](): void {
    this.#abort[Symbol.dispose]();
  }

  #start(stream: StreamName, name: string): void {
    if (name === '' || this.#following.has(stream)) return;
    const { byteStream, write } = this.#options;
    const follower = new LogFollower({ byteStream, write: (bytes) => write(stream, bytes) });
    this.#following.set(stream, { follower, over: follower.follow(name, { signal: this.#abort.signal }) });
  }

  async #showRest(
    stream: StreamName,
    output: { readonly raw: Uint8Array; readonly digest: ActionResult['stdoutDigest'] },
    { signal }: IoOptions,
  ): Promise<void> {
    const { store, write, warn } = this.#options;
    const shown = this.#following.get(stream)?.follower.shown ?? { sizeBytes: 0, sha256: '' };
    await showRest(output, shown, {
      store,
      signal,
      write: (bytes) => write(stream, bytes),
      onDifferent: () =>
        warn(
          `the ${stream} shown so far is not what the result has (of an earlier attempt, or cut): all of it follows`,
        ),
    });
  }
}
