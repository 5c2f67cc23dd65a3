import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { ActionCache } from '../cache/action-cache.ts';
import type { BlobStoreOf } from '../cache/blob-store-of.ts';
import type { MessageBus } from '../core/bus/message-bus.ts';
import { anonymous } from '../core/caller.ts';
import { parseFailPoints } from '../core/fail-point.ts';
import type { RoleHost } from '../core/role.ts';
import type { RpcServer } from '../core/rpc/rpc-server.ts';
import {
  type ExecutionCapabilities,
  ExecutionDefinition,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { OperationsDefinition } from '../proto/gen/google/longrunning/operations.ts';
import { type CacheStatus, FarmDefinition, type FarmStatus } from '../proto/gen/ingot/v1/farm.ts';
import { Admission } from './admission/admission.ts';
import { systemClock } from './clock.ts';
import type { SchedulerConfig } from './config.ts';
import { CommitFiler, commitFailPoints } from './engine/commit-filer.ts';
import { Scheduler } from './engine/scheduler.ts';
import { journalFailPoints, StateDriver } from './engine/state-driver.ts';
import { WorkerLink } from './engine/worker-link.ts';
import { executionCapabilities } from './execution-capabilities.ts';
import { executionService } from './execution-service.ts';
import { farmService, statusOf } from './farm-service.ts';
import { InputLeases } from './input-leases.ts';
import { LevelJournal } from './level-journal.ts';
import { operationsService } from './operations-service.ts';
import { schedulerMetrics } from './scheduler-metrics.ts';
import { DEFAULT_SCHEDULER_LIMITS, type SchedulerLimits } from './state/scheduler-limits.ts';
import { createSchedulerState } from './state/scheduler-state.ts';

/** Where the journal is, below the data folder. The version rises when older journals cannot be read any more. */
const JOURNAL_FOLDER = 'scheduler/journal-v1';

/** What a scheduler works with, made by others. */
export interface SchedulerParts {
  readonly blobStoreOf: BlobStoreOf;
  readonly actionCache: ActionCache;
  readonly bus: MessageBus;
  /** Which bus that is, for people: `in process`, or the server's address. */
  readonly busDescription?: string;
  /** Of this program, for people. */
  readonly version?: string;
  /** How the cache stands, where it is in this process. */
  readonly cacheStatus?: () => CacheStatus;
}

/** A running scheduler. */
export interface SchedulerRole {
  readonly executionCapabilities: ExecutionCapabilities;
  /** Adds Execution, Operations and Farm. */
  addServices(rpc: RpcServer): void;
  /** The farm as one who may see everything sees it. */
  status(): FarmStatus;
  /** Turns clients away and ends their waiting with UNAVAILABLE; call it before the server is closed. */
  drain(): void;
}

/** Opens the journal, takes up what it holds and listens to workers. Closed by the host's lifecycle. */
export async function composeScheduler(
  config: SchedulerConfig,
  { logger, lifecycle, metrics }: RoleHost,
  { blobStoreOf, actionCache, bus, busDescription = '', version = '', cacheStatus }: SchedulerParts,
): Promise<SchedulerRole> {
  const failPoints = parseFailPoints(config.fail, [...journalFailPoints, ...commitFailPoints]);
  const clock = systemClock;
  const state = createSchedulerState(limitsOf(config), clock.now());
  const journal = await LevelJournal.open({ folder: join(config.data, JOURNAL_FOLDER), logger });
  const driver = new StateDriver({ state, journal, clock, logger, failPoints });
  const link = new WorkerLink({ bus, logger });
  const filer = new CommitFiler({ blobStoreOf, actionCache, failPoints });
  const scheduler = new Scheduler({ state, driver, journal, link, filer, clock, logger, newId: randomUUID });
  lifecycle.use('scheduler', scheduler);
  await scheduler.open();
  lifecycle.use('input leases', new InputLeases({ blobStoreOf, state, logger }));

  const { actionTimeoutMaxMs } = state.limits;
  const admission = new Admission({ blobStoreOf, actionCache, clock, actionTimeoutMaxMs, newOperationName });
  const counters = { actionCacheHits: 0 };
  const farm = { scheduler, counters, clock, version, busDescription, cacheStatus };
  metrics?.add({ metrics: () => schedulerMetrics(scheduler.state, counters) });
  return {
    executionCapabilities: executionCapabilities(),
    addServices(rpc) {
      rpc.addService(
        ExecutionDefinition,
        executionService({ scheduler, admission, counters, newOperationName, blobStoreOf, logger }),
        { execute: ['execute'], waitExecution: ['execute'] },
      );
      rpc.addService(OperationsDefinition, operationsService({ scheduler }), {
        getOperation: ['execute'],
        listOperations: ['execute'],
        cancelOperation: ['execute'],
        deleteOperation: ['execute'],
        waitOperation: ['execute'],
      });
      rpc.addService(FarmDefinition, farmService(farm), { getStatus: ['read'] });
    },
    status: () => statusOf(farm, anonymous),
    drain: () => scheduler.drain(),
  };
}

function newOperationName(instanceName: string): string {
  const name = `operations/${randomUUID()}`;
  return instanceName === '' ? name : `${instanceName}/${name}`;
}

function limitsOf(config: SchedulerConfig): SchedulerLimits {
  return {
    ...DEFAULT_SCHEDULER_LIMITS,
    operationsQueuedMax: config.operationsQueuedMax,
    attemptsMax: config.attemptsMax,
    actionTimeoutMaxMs: config.actionTimeoutMax,
    workerlessMs: config.workerWait,
    waiterlessQueuedMs: config.abandonQueuedAfter,
    waiterlessExecutingMs: config.abandonExecutingAfter,
    completedKeptMs: config.completedKept,
  };
}
