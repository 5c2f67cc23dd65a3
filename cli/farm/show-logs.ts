import { delay, linkedAbort } from '../../core/abort.ts';
import { cancelled } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { metadataOf, responseOf } from '../client/execution-client.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import { showRest } from '../client/final-output.ts';
import { LogFollower } from '../client/log-follower.ts';
import type { CommandContext } from '../command-context.ts';
import { findOperationName } from './operation-name.ts';

/** The flags of `ingot logs`. */
export interface LogsOptions {
  readonly follow?: boolean;
}

/** Without `-f`: this long without a new byte means that we have what there is so far. */
const IDLE_MS = 500;
/** With `-f`, while the action waits for a worker. */
const POLL_MS = 500;

type StreamName = 'stdout' | 'stderr';

/** `ingot logs`. */
export async function showLogs(
  context: CommandContext,
  { follow = false }: LogsOptions,
  [text = '']: readonly string[],
): Promise<void> {
  await using farm = new FarmConnection(context.farm, context);
  await farm.status({ signal: context.signal });
  const name = await findOperationName(farm, text, { signal: context.signal });
  const state = { context, farm, name };
  let operation = await getOperation(state);
  if (!operation.done) {
    const shown = await showStreams(state, operation, follow);
    if (!follow) return;
    operation = await untilDone(state);
    await showResult(state, operation, shown);
  } else {
    // Of an action that was cancelled there is no result; its streams are kept for a while.
    if (responseOf(operation).result === undefined) await showStreams(state, operation, false);
    await showResult(state, operation, new Map());
  }
}

interface LogsState {
  readonly context: CommandContext;
  readonly farm: FarmConnection;
  readonly name: string;
}

function getOperation({ farm, name, context }: LogsState): Promise<Operation> {
  return farm.operations.getOperation({ name }, { signal: context.signal });
}

async function untilDone(state: LogsState): Promise<Operation> {
  for (;;) {
    const operation = await getOperation(state);
    if (operation.done) return operation;
    await delay(POLL_MS, { signal: state.context.signal });
  }
}

async function showStreams(
  state: LogsState,
  operation: Operation,
  follow: boolean,
): Promise<ReadonlyMap<StreamName, LogFollower>> {
  const { context, farm } = state;
  const metadata = metadataOf(operation);
  const followers = new Map<StreamName, LogFollower>();
  const names: readonly (readonly [StreamName, string])[] = [
    ['stdout', metadata?.stdoutStreamName ?? ''],
    ['stderr', metadata?.stderrStreamName ?? ''],
  ];
  using abort = linkedAbort(context.signal);
  let heardMs = performance.now();
  const all = names
    .filter(([, streamName]) => streamName !== '')
    .map(([stream, streamName]) => {
      const follower = new LogFollower({
        byteStream: farm.byteStream,
        write: async (bytes) => {
          heardMs = performance.now();
          await show(context, stream, bytes);
        },
      });
      followers.set(stream, follower);
      return follower.follow(streamName, { signal: abort.signal });
    });
  const idle = async () => {
    while (performance.now() - heardMs < IDLE_MS) await delay(IDLE_MS / 5, { signal: abort.signal });
  };
  // An action that ends without having written closes its streams late or never: its end counts as well.
  const over = follow ? untilDone(state).then(() => delay(IDLE_MS, { signal: abort.signal })) : idle();
  await Promise.race([Promise.all(all), over]);
  abort.abort(cancelled('shown'));
  await Promise.allSettled([...all, over]);
  return followers;
}

async function showResult(
  { context, farm }: LogsState,
  operation: Operation,
  followers: ReadonlyMap<StreamName, LogFollower>,
): Promise<void> {
  const { result, status } = responseOf(operation);
  if (result !== undefined) {
    const options = { context, farm, followers, signal: context.signal };
    await showStreamRest('stdout', { raw: result.stdoutRaw, digest: result.stdoutDigest }, options);
    await showStreamRest('stderr', { raw: result.stderrRaw, digest: result.stderrDigest }, options);
  }
  if (status !== undefined && status.code !== 0) context.printer.note(`the action failed: ${status.message}`);
  else context.printer.detail(`the action ended with ${result?.exitCode ?? 0}`);
}

async function showStreamRest(
  stream: StreamName,
  output: { readonly raw: Uint8Array; readonly digest: ActionResult['stdoutDigest'] },
  {
    context,
    farm,
    followers,
    signal,
  }: Omit<LogsState, 'name'> & {
    readonly followers: ReadonlyMap<StreamName, LogFollower>;
  } & IoOptions,
): Promise<void> {
  const shown = followers.get(stream)?.shown ?? { sizeBytes: 0, sha256: '' };
  await showRest(output, shown, {
    store: farm.blobStore,
    signal,
    write: (bytes) => show(context, stream, bytes),
    onDifferent: () =>
      context.printer.warn(
        `the ${stream} shown so far is not what the result has (of an earlier attempt, or cut): all of it follows`,
      ),
  });
}

async function show({ printer }: CommandContext, stream: StreamName, bytes: Uint8Array): Promise<void> {
  if (printer.json) printer.result({ stream, text: Buffer.from(bytes).toString('utf8') });
  else await printer.output(stream, bytes);
}
