import { expect, test } from 'vitest';
import { InProcessMessageBus } from '../../../core/bus/in-process-message-bus.ts';
import { invalidArgument } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import {
  CancelLease,
  CancelLeaseReply,
  Commit,
  CommitReply,
  CommitReply_Outcome,
  Offer,
  OfferReply,
  OfferReply_Outcome,
  Progress,
  WorkerHeartbeat,
} from '../../../proto/gen/ingot/v1/bus.ts';
import { WorkerLink } from '../../../scheduler/engine/worker-link.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { workerOffer } from '../matching/workers.ts';

async function bench() {
  const logger = recordingLogger();
  const bus = new InProcessMessageBus({ logger });
  const link = new WorkerLink({ bus, logger });
  const heard: unknown[] = [];
  await link.open({
    onHeartbeat: (heartbeat) => heard.push(heartbeat),
    onProgress: (progress) => heard.push(progress),
    onCommit: async ({ operationName }) => ({
      outcome: CommitReply_Outcome.ACCEPTED,
      message: operationName,
    }),
    onOfferReply: (offer, reply) => heard.push([offer.operationName, reply]),
  });
  return {
    bus,
    link,
    heard,
    logger,
    async [Symbol.asyncDispose]() {
      await link.close();
      await bus.close();
    },
  };
}

const heartbeat = WorkerHeartbeat.create({
  workerId: 'w',
  incarnation: 'i',
  capacity: workerOffer('w').capacity,
});
const offer = Offer.create({ operationName: 'operations/a', epoch: 1, workerId: 'w', incarnation: 'i' });

test('hears heartbeats and progress', async () => {
  await using parts = await bench();
  const progress = Progress.create({ operationName: 'operations/a', epoch: 1, workerId: 'w' });
  parts.bus.publish('worker.heartbeat', WorkerHeartbeat.encode(heartbeat).finish());
  parts.bus.publish('scheduler.progress', Progress.encode(progress).finish());
  parts.bus.publish('other.scheduler.progress', Progress.encode(progress).finish());
  await expect.poll(() => parts.heard).toEqual([heartbeat, progress]);
});

test('drops and logs what is malformed', async () => {
  await using parts = await bench();
  parts.bus.publish('worker.heartbeat', Buffer.from([0xff]));
  const strange = { ...heartbeat, workerId: 'w.*' };
  parts.bus.publish('worker.heartbeat', WorkerHeartbeat.encode(strange).finish());
  await expect.poll(() => parts.logger.at('error').length).toBe(2);
  expect(parts.heard).toEqual([]);
  const error = await rejection(
    parts.bus.request('scheduler.commit', Buffer.from([0xff]), { timeoutMs: 1_000 }),
  );
  expect([error.code, error.message]).toEqual([Code.INVALID_ARGUMENT, 'commit is not a well-formed message']);
});

test('answers commits', async () => {
  await using parts = await bench();
  const payload = Commit.encode(Commit.create({ operationName: 'operations/a' })).finish();
  const reply = await parts.bus.request('scheduler.commit', payload, { timeoutMs: 1_000 });
  expect(CommitReply.decode(reply)).toEqual({
    outcome: CommitReply_Outcome.ACCEPTED,
    message: 'operations/a',
  });
});

test('asks the worker, and passes its reply on', async () => {
  await using parts = await bench();
  const reply = { outcome: OfferReply_Outcome.NO_ROOM, message: 'full' };
  await using _ = await parts.bus.subscribe('worker.w.offer', async ({ payload }) => {
    expect(Offer.decode(payload)).toEqual(offer);
    return OfferReply.encode(reply).finish();
  });
  parts.link.offer(offer);
  await expect.poll(() => parts.heard).toEqual([['operations/a', reply]]);
});

test('says when there is no reply', async () => {
  await using parts = await bench();
  parts.link.offer(offer);
  await expect.poll(() => parts.heard).toEqual([['operations/a', undefined]]);
});

test('takes a worker that answers with an error, or with noise, as one that refuses', async () => {
  await using parts = await bench();
  const replies: (() => Uint8Array)[] = [
    () => {
      throw invalidArgument('no such thing');
    },
    () => Buffer.from([0xff]),
  ];
  await using _ = await parts.bus.subscribe('worker.w.offer', async () => replies.shift()!());
  parts.link.offer(offer);
  await expect.poll(() => parts.heard.length).toBe(1);
  parts.link.offer(offer);
  await expect
    .poll(() => parts.heard)
    .toEqual([
      ['operations/a', { outcome: OfferReply_Outcome.REFUSED, message: 'no such thing' }],
      [
        'operations/a',
        { outcome: OfferReply_Outcome.REFUSED, message: 'reply to an offer is not a well-formed message' },
      ],
    ]);
});

test('sends cancels, and does not mind when nobody hears them', async () => {
  await using parts = await bench();
  const cancel = { operationName: 'operations/a', epoch: 3, reason: 'enough' };
  const got: CancelLease[] = [];
  parts.link.cancelLease('nobody', cancel);
  await using _ = await parts.bus.subscribe('worker.w.cancel', async ({ payload }) => {
    got.push(CancelLease.decode(payload));
    return CancelLeaseReply.encode({ found: true }).finish();
  });
  parts.link.cancelLease('w', cancel);
  await expect.poll(() => got).toEqual([cancel]);
  await expect
    .poll(() => parts.logger.at('debug').map(({ message }) => message))
    .toEqual(['a cancel had no reply']);
});

test('hears nothing after it was closed', async () => {
  await using parts = await bench();
  parts.link.offer(offer);
  await parts.link.close();
  parts.bus.publish('worker.heartbeat', WorkerHeartbeat.encode(heartbeat).finish());
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(parts.heard).toEqual([]);
});
