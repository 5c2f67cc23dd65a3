import assert from 'node:assert/strict';
import { join } from 'node:path';
import { mapConcurrent } from '../../core/concurrency.ts';
import { IngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import {
  type ExecuteResponse,
  ExecutionStage_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { WorkerStatus } from '../../proto/gen/ingot/v1/farm.ts';
import { encodeAction } from '../client/action-message.ts';
import { ActionRunner } from '../client/action-runner.ts';
import { downloadOutputs } from '../client/download-outputs.ts';
import type { FarmConnection } from '../client/farm-connection.ts';
import { buildInputTree } from '../client/input-tree.ts';
import { pinPlatform } from '../client/pin-platform.ts';
import type { DemoAction } from './demo-project.ts';

/** Actions asked for at once: all of the project's, so that the farm's queue is seen at work. */
const ACTIONS_MAX = 64;

/** Where an action of a round stands. */
export interface DemoProgress {
  readonly action: DemoAction;
  readonly stage: 'waiting' | 'queued' | 'executing' | 'ran' | 'hit' | 'failed';
  readonly worker: string;
  /** Of `performance.now()`. */
  readonly startedMs: number;
  readonly endedMs: number | undefined;
}

/** One pass over the project. */
export interface DemoRound {
  readonly actions: readonly DemoProgress[];
  readonly totalMs: number;
}

interface DemoRoundOptions extends IoOptions {
  readonly farm: FarmConnection;
  readonly objects: readonly DemoAction[];
  /** Runs after all objects; undefined where there is nothing to link. */
  readonly link: DemoAction | undefined;
  /** Holds the sources; outputs land here. */
  readonly folder: string;
  readonly workers: readonly WorkerStatus[];
  /** Called at every change with every action, in their order. */
  readonly onChange: (actions: readonly DemoProgress[]) => void;
  /** Called when a worker begins with an action. */
  readonly onDispatched: (action: DemoProgress) => void;
}

/** Asks the farm for every object at once and then for the link; throws at the first action that fails. */
export async function runDemoRound(options: DemoRoundOptions): Promise<DemoRound> {
  const { objects, link, onChange, onDispatched, signal } = options;
  const startedMs = performance.now();
  const all = link === undefined ? objects : [...objects, link];
  const states = new Map(
    all.map((action): [DemoAction, DemoProgress] => [
      action,
      { action, stage: 'waiting', worker: '', startedMs, endedMs: undefined },
    ]),
  );
  const change = (action: DemoAction, news: Partial<DemoProgress>) => {
    const before = states.get(action);
    assert(before !== undefined, `${action.label} is not of this round`);
    const after = { ...before, ...news };
    states.set(action, after);
    onChange([...states.values()]);
    if (after.stage === 'executing' && before.stage !== 'executing') onDispatched(after);
  };
  const run = async (action: DemoAction, laneSignal: AbortSignal | undefined) => {
    change(action, { stage: 'queued', startedMs: performance.now() });
    try {
      await runAction(action, { ...options, signal: laneSignal }, change);
    } catch (error) {
      change(action, { stage: 'failed', endedMs: performance.now() });
      throw error;
    }
  };
  await mapConcurrent(objects, ACTIONS_MAX, run, { signal });
  if (link !== undefined) await run(link, signal);
  return { actions: [...states.values()], totalMs: performance.now() - startedMs };
}

async function runAction(
  action: DemoAction,
  { farm, folder, workers, signal }: DemoRoundOptions,
  change: (action: DemoAction, news: Partial<DemoProgress>) => void,
): Promise<void> {
  const tree = await buildInputTree(folder, action.inputs, { signal });
  const message = encodeAction({
    arguments: action.commandLine,
    environmentVariables: [],
    outputPaths: [action.output],
    platform: pinPlatform(workers, [], action.commandLine).platform,
    inputRootDigest: tree.rootDigest,
    timeoutMs: undefined,
    doNotCache: false,
  });
  const response = await new ActionRunner(farm).run(
    { message, tree, doNotCache: false },
    {
      signal,
      events: {
        onUpdate: ({ metadata }) => {
          if (metadata?.stage !== ExecutionStage_Value.EXECUTING) return;
          change(action, { stage: 'executing', worker: metadata.partialExecutionMetadata?.worker ?? '' });
        },
      },
    },
  );
  const result = checked(action, response);
  const { paths } = await downloadOutputs(result, {
    store: farm.blobStore,
    rootPath: folder,
    outputPaths: [action.output],
    signal,
  });
  if (paths.length === 0)
    throw new IngotError(Code.INTERNAL, `${action.label}: made no ${join(folder, action.output)}`);
  change(action, {
    stage: response.cachedResult ? 'hit' : 'ran',
    worker: response.cachedResult ? '' : (result.executionMetadata?.worker ?? ''),
    endedMs: performance.now(),
  });
}

function checked(action: DemoAction, { status, result }: ExecuteResponse) {
  if (status !== undefined && status.code !== Code.OK) {
    throw new IngotError(status.code as Code, `${action.label}: ${status.message}`);
  }
  if (result === undefined)
    throw new IngotError(Code.INTERNAL, `${action.label}: the answer holds no result`);
  if (result.exitCode !== 0) {
    const said = [result.stdoutRaw, result.stderrRaw].map(String).join('').trim();
    throw new IngotError(
      Code.ABORTED,
      `${action.label}: ${action.commandLine.join(' ')}: exit code ${result.exitCode}${said && `\n${said}`}`,
    );
  }
  return result;
}
