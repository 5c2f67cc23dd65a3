import { join } from 'node:path';
import { linkedAbort } from '../../core/abort.ts';
import { cancelled, IngotError, toIngotError } from '../../core/error.ts';
import type { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { encodeAction } from '../client/action-message.ts';
import { ActionRunner, type PreparedAction } from '../client/action-runner.ts';
import { DigestCache } from '../client/digest-cache.ts';
import { downloadOutputs } from '../client/download-outputs.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import { buildInputTree, type InputTree } from '../client/input-tree.ts';
import { LiveOutput } from '../client/live-output.ts';
import { pinPlatform } from '../client/pin-platform.ts';
import type { CommandContext } from '../command-context.ts';
import { ExitCode } from '../exit-code.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { cacheFolder } from '../user-folders.ts';
import { RunDisplay } from './run-display.ts';
import type { RunOptions } from './run-options.ts';
import { parseRunRequest, type RunRequest } from './run-request.ts';
import { phaseTimes, summaryLine } from './run-summary.ts';

/** A cancelled operation is given this long to hear of it before we leave. */
const CANCEL_MS = 5_000;

/** `ingot run`: resolves with the command's exit code. */
export async function run(
  context: CommandContext,
  options: RunOptions,
  args: readonly string[],
): Promise<number> {
  const startedMs = performance.now();
  const request = parseRunRequest(options, args, context.io);
  await using farm = new FarmConnection(context.farm, context);
  const action = await prepare(context, request, farm);
  const response = await execute(context, { request, action, farm });
  return await finish(context, { request, action, farm, response, startedMs });
}

async function prepare(
  context: CommandContext,
  request: RunRequest,
  farm: FarmConnection,
): Promise<PreparedAction> {
  const { printer } = context;
  using abort = linkedAbort(context.signal);
  const treeBuilt = buildTree(context, request, abort.signal).catch((error: unknown) => {
    abort.abort(cancelled('the inputs could not be read'));
    throw error;
  });
  // Whichever fails first is what is reported; the other must not end as an unhandled rejection.
  const statusRead = farm.status({ signal: abort.signal }).catch((error: unknown) => {
    abort.abort(cancelled('the farm could not be reached'));
    throw error;
  });
  const [tree, status] = await Promise.all([treeBuilt, statusRead]);
  const pinned = pinPlatform(status?.workers ?? [], request.platform, request.commandLine);
  for (const note of pinned.notes) printer.detail(`platform: ${note}`);
  for (const warning of pinned.warnings) printer.warn(warning);
  const message = encodeAction({
    arguments: request.commandLine,
    environmentVariables: request.environmentVariables,
    outputPaths: request.outputPaths,
    platform: pinned.platform,
    inputRootDigest: tree.rootDigest,
    timeoutMs: request.timeoutMs,
    doNotCache: request.doNotCache,
  });
  printer.detail(`inputs: ${tree.totals.fileCount} files, ${formatBytes(tree.totals.sizeBytes)}`);
  printer.detail(`action: ${message.actionDigest}`);
  return { message, tree, doNotCache: request.doNotCache };
}

async function buildTree(
  context: CommandContext,
  request: RunRequest,
  signal: AbortSignal,
): Promise<InputTree> {
  const digestCache = new DigestCache({
    directory: join(cacheFolder(context.io.environment), 'digests'),
    root: request.rootPath,
    nowNs: () => BigInt(Date.now()) * 1_000_000n,
  });
  let progress: ReturnType<typeof context.printer.progress> | undefined;
  const tree = await buildInputTree(request.rootPath, request.inputs, {
    digestCache,
    signal,
    onProgress: (doneBytes, { sizeBytes }) => {
      progress ??= context.printer.progress('hash inputs', sizeBytes);
      progress.update(doneBytes, `${formatBytes(doneBytes)} of ${formatBytes(sizeBytes)}`);
    },
  });
  context.printer.liveEnd();
  return tree;
}

interface RunState {
  readonly request: RunRequest;
  readonly action: PreparedAction;
  readonly farm: FarmConnection;
}

async function execute(
  context: CommandContext,
  { request, action, farm }: RunState,
): Promise<ExecuteResponse> {
  const { printer, signal } = context;
  using display = new RunDisplay(printer);
  using live = new LiveOutput({
    byteStream: farm.byteStream,
    store: farm.blobStore,
    write: (stream, bytes) => printer.output(stream, bytes),
    warn: (text) => printer.warn(text),
  });
  let operationName: string | undefined;
  try {
    const response = await new ActionRunner(farm).run(action, {
      signal,
      skipCacheLookup: request.skipCacheLookup,
      events: {
        onUploadProgress: display.onUploadProgress,
        onUploaded: display.onUploaded,
        onReconnect: display.onReconnect,
        onUpdate: (update) => {
          operationName = update.name;
          display.onUpdate(update);
          live.update(update.metadata);
        },
      },
    });
    await live.finish(response.result, { signal });
    return response;
  } catch (error) {
    if (signal.aborted && operationName !== undefined) await cancel(context, farm, operationName);
    throw error;
  }
}

async function cancel({ printer }: CommandContext, farm: FarmConnection, name: string): Promise<void> {
  try {
    await farm.operations.cancelOperation({ name }, { timeoutMs: CANCEL_MS, retry: false });
    printer.note(`cancelled operation ${name}`);
  } catch (error) {
    printer.warn(`cancel operation ${name}: ${toIngotError(error).message}; it may still run`);
  }
}

interface Finished extends RunState {
  readonly response: ExecuteResponse;
  readonly startedMs: number;
}

async function finish(
  { printer, signal }: CommandContext,
  { request, action, farm, response, startedMs }: Finished,
): Promise<number> {
  const { result, status } = response;
  if (status !== undefined && status.code !== Code.OK) {
    throw new IngotError(status.code as Code, status.message, { details: status.details });
  }
  if (result === undefined) {
    throw new IngotError(
      Code.INTERNAL,
      'execute the action: the answer holds no result, and no error either',
    );
  }
  const { paths } = await downloadOutputs(result, {
    store: farm.blobStore,
    rootPath: request.rootPath,
    outputPaths: request.outputPaths,
    signal,
  });
  const totalMs = performance.now() - startedMs;
  printer.note(summaryLine(response, totalMs));
  const missing = request.outputPaths.filter((path) => !paths.includes(path));
  printer.result({
    outcome: response.cachedResult ? 'hit' : 'ran',
    exitCode: result.exitCode,
    milliseconds: Math.round(totalMs),
    worker: result.executionMetadata?.worker ?? '',
    phases: response.cachedResult ? {} : phaseTimes(result.executionMetadata),
    action: String(action.message.actionDigest),
    inputs: action.tree.totals,
    outputs: paths,
    missingOutputs: missing,
    message: response.message,
  });
  if (response.message !== '') printer.detail(response.message);
  if (missing.length === 0 || result.exitCode !== 0) return result.exitCode;
  printer.error(`error: the command ended with 0 and did not make ${missing.join(', ')}`);
  return ExitCode.FAILED;
}
