import { expect, test } from 'vitest';
import { cancelled, unavailable } from '../../../core/error.ts';
import {
  DigestFunction_Value,
  ExecutedActionMetadata,
  ExecutionStage_Value as Stage,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { OperationWatch } from '../../../scheduler/engine/operation-watch.ts';
import type { OperationView } from '../../../scheduler/state/operation-view.ts';
import { rejection } from '../../setup/rejection.ts';
import { executeResponse } from '../execute-response.ts';

function view(stage: Stage): OperationView {
  return {
    name: 'operations/a',
    stage,
    actionDigest: undefined,
    digestFunction: DigestFunction_Value.SHA256,
    stdoutStreamName: '',
    stderrStreamName: '',
    metadata: ExecutedActionMetadata.create(),
    response: stage === Stage.COMPLETED ? executeResponse() : undefined,
  };
}

async function stages(watch: OperationWatch): Promise<Stage[]> {
  const seen: Stage[] = [];
  for await (const one of watch.views()) seen.push(one.stage);
  return seen;
}

test('gives the state now, each change, and ends with the completed one', async () => {
  const watch = new OperationWatch(view(Stage.QUEUED), () => undefined);
  const seen = stages(watch);
  await undefined;
  watch.push(view(Stage.EXECUTING));
  await new Promise(setImmediate);
  watch.push(view(Stage.COMPLETED));
  expect(await seen).toEqual([Stage.QUEUED, Stage.EXECUTING, Stage.COMPLETED]);
});

test('of what is completed already gives just that', async () => {
  expect(await stages(new OperationWatch(view(Stage.COMPLETED), () => undefined))).toEqual([Stage.COMPLETED]);
});

test('gives a slow reader only the newest', async () => {
  const watch = new OperationWatch(view(Stage.QUEUED), () => undefined);
  for (let turn = 0; turn < 1000; turn += 1) watch.push(view(Stage.EXECUTING));
  watch.push(view(Stage.COMPLETED));
  expect(await stages(watch)).toEqual([Stage.COMPLETED]);
});

test('fails its reader, after what there still is to read', async () => {
  const watch = new OperationWatch(view(Stage.QUEUED), () => undefined);
  const seen = stages(watch);
  await new Promise(setImmediate);
  watch.fail(unavailable('stopping'));
  expect((await rejection(seen)).message).toBe('stopping');
});

test('stops when the signal says so', async () => {
  const controller = new AbortController();
  const views = new OperationWatch(view(Stage.QUEUED), () => undefined).views({ signal: controller.signal });
  await views.next();
  const next = views.next();
  controller.abort(cancelled('the client has gone'));
  expect((await rejection(next)).message).toBe('the client has gone');
});

test('says once that it is closed', () => {
  let closed = 0;
  {
    using watch = new OperationWatch(view(Stage.QUEUED), () => {
      closed += 1;
    });
    watch.close();
  }
  expect(closed).toBe(1);
});
