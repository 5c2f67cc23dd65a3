import { encodeAction, type NamedValues } from '../../cli/client/action-message.ts';
import { ActionRunner, type PreparedAction } from '../../cli/client/action-runner.ts';
import type { OperationUpdate } from '../../cli/client/execution-client.ts';
import type { FarmConnection } from '../../cli/client/farm-connection.ts';
import type { InputBlob } from '../../cli/client/input-blob.ts';
import { Digest } from '../../core/digest.ts';
import { encodeCanonical } from '../../core/directory.ts';
import { isIngotError } from '../../core/error.ts';
import { unpackAny } from '../../core/error-details.ts';
import { collectBytes } from '../../core/streams.ts';
import type {
  ActionResult,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { Attempt } from '../../proto/gen/ingot/v1/journal.ts';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** What a test wants run. */
export interface ActionSpec {
  /** For `sh -c`. */
  readonly script: string;
  /** Text of the files in the input root. */
  readonly files?: Readonly<Record<string, string>>;
  readonly outputs?: readonly string[];
  readonly platform?: NamedValues;
  readonly timeoutMs?: number;
  readonly doNotCache?: boolean;
}

/** An action of a test as a client prepares it. */
export function prepareAction(spec: ActionSpec): PreparedAction {
  const blobs = new Map<string, InputBlob>();
  const add = (bytes: Uint8Array): Digest => {
    const digest = Digest.ofBytes(bytes);
    if (!digest.isEmpty) blobs.set(digest.key, { digest, bytes });
    return digest;
  };
  const files = Object.entries(spec.files ?? {}).map(([name, text]) => ({
    name,
    digest: add(Buffer.from(text)).toMessage(),
    isExecutable: false,
    nodeProperties: undefined,
  }));
  const rootDigest = add(
    encodeCanonical({ files, directories: [], symlinks: [], nodeProperties: undefined }),
  );
  const { doNotCache = false } = spec;
  const message = encodeAction({
    arguments: ['sh', '-c', spec.script],
    environmentVariables: [],
    outputPaths: spec.outputs ?? ['out'],
    platform: spec.platform ?? [],
    inputRootDigest: rootDigest,
    timeoutMs: spec.timeoutMs,
    doNotCache,
  });
  const totals = { fileCount: files.length, sizeBytes: 0 };
  return { message, tree: { rootDigest, blobs, totals }, doNotCache } as PreparedAction;
}

/** One request to a farm for the result of an action, over a connection of this process, with all it was told. */
export class ClientRun {
  readonly updates: OperationUpdate[] = [];
  /** Why the stream was taken up again, once each time. */
  readonly reconnects: string[] = [];
  readonly action: PreparedAction;
  readonly response: Promise<ExecuteResponse>;
  readonly #farm: FarmConnection;

  constructor(farm: FarmConnection, spec: ActionSpec) {
    this.#farm = farm;
    this.action = prepareAction(spec);
    this.response = new ActionRunner(farm).run(this.action, {
      events: {
        onUpdate: (update) => this.updates.push(update),
        onReconnect: (why) => this.reconnects.push(why),
      },
    });
    // Awaited late by tests that look at other things first.
    this.response.catch(() => undefined);
  }

  /** The names the operation was known by; more than one when it was executed again. */
  get names(): string[] {
    return [...new Set(this.updates.map(({ name }) => name))];
  }

  /** The attempts that came to nothing, as last told. */
  get attempts(): Attempt[] {
    const metadata = this.updates.at(-1)?.metadata?.partialExecutionMetadata;
    return (metadata?.auxiliaryMetadata ?? []).flatMap(
      (any) => unpackAny(Attempt, 'ingot.v1.Attempt', any) ?? [],
    );
  }

  /** Whether the action cache has a result, of whichever client's asking. */
  async isFiled(): Promise<boolean> {
    const { actionDigest } = this.action.message;
    try {
      await this.#farm.actionCache.getActionResult({
        instanceName: '',
        actionDigest: actionDigest.toMessage(),
        inlineStdout: false,
        inlineStderr: false,
        inlineOutputFiles: [],
        digestFunction: actionDigest.digestFunction,
      });
      return true;
    } catch (error) {
      if (isIngotError(error, Code.NOT_FOUND)) return false;
      throw error;
    }
  }

  /** The result; throws when there is none. */
  async result(): Promise<ActionResult> {
    const { result, status } = await this.response;
    if (result === undefined || (status?.code ?? 0) !== 0) {
      throw new Error(`the action came to no result: ${status?.message}`);
    }
    return result;
  }

  /** The id of the run that the result is of, read from its stdout and from its output `out`, which must agree. */
  async runId(): Promise<string> {
    const result = await this.result();
    const stdout =
      result.stdoutRaw.byteLength > 0 ? Buffer.from(result.stdoutRaw) : await this.#read(result.stdoutDigest);
    const out = await this.#read(result.outputFiles.find(({ path }) => path === 'out')?.digest);
    const [, id] = /^run ([0-9a-f-]{36})\n$/.exec(stdout.toString()) ?? [];
    if (id === undefined || out.toString() !== `${id}\n`) {
      throw new Error(
        `stdout is ${JSON.stringify(stdout.toString())} and out ${JSON.stringify(out.toString())}`,
      );
    }
    return id;
  }

  async #read(message: ActionResult['stdoutDigest']): Promise<Buffer> {
    const digest = Digest.fromMessage(message);
    const source = await this.#farm.blobStore.read(digest);
    if (source === undefined) throw new Error(`${digest} is named in a result and not there`);
    return Buffer.from(await collectBytes(source, { bytesMax: OUTPUT_BYTES_MAX, what: 'output' }));
  }
}
