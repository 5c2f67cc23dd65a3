import { unimplemented } from '../../core/error.ts';
import type { Resources } from '../../proto/gen/ingot/v1/bus.ts';
import type { CacheStatus, FarmStatus, WorkerStatus } from '../../proto/gen/ingot/v1/farm.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import type { CommandContext } from '../command-context.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { formatDuration } from '../output/format-duration.ts';
import { formatTable } from '../output/format-table.ts';
import { listOperations } from './list-operations.ts';
import { type OperationFacts, operationFacts } from './operation-facts.ts';
import { shortOperationName } from './operation-name.ts';

/** `ingot status`. */
export async function showStatus(context: CommandContext): Promise<void> {
  const { printer, signal } = context;
  await using farm = new FarmConnection(context.farm, context);
  const status = await farm.status({ signal });
  if (status === undefined) {
    throw unimplemented(`ask ${context.farm.endpoint} for its status: it answers, and is not an ingot farm`);
  }
  const operations = ((await listOperations(farm, { signal })) ?? []).map(operationFacts);
  for (const line of describeFarm(status, context.farm.endpoint)) printer.line(line);
  printer.line('');
  if (status.workers.length === 0)
    printer.line('no workers: nothing can run until one is started (`ingot worker`)');
  for (const line of workerTable(status.workers)) printer.line(line);
  if (printer.verbosity === 'verbose') {
    for (const line of status.workers.flatMap(describeProperties)) printer.line(line);
  }
  if (operations.length > 0) printer.line('');
  for (const line of operationTable(operations)) printer.line(line);
  printer.result({ ...statusFacts(status), operations });
}

function describeFarm(status: FarmStatus, endpoint: string): string[] {
  return [
    `ingot ${status.version} at ${endpoint}, up ${formatDuration((status.uptime?.seconds ?? 0) * 1000)}, bus: ${status.bus}`,
    `${status.queued} queued, ${status.executing} executing; since the start ${status.completed} completed, ` +
      `${status.actionCacheHits} found in the cache, ${status.joined} joined`,
    ...describeCache(status.cache),
  ];
}

function describeCache(cache: CacheStatus | undefined): string[] {
  if (cache === undefined) return [];
  const { storedBytes, storedBytesMax, blobs, actionResultsFound, actionResultsMissed } = cache;
  const lookups = actionResultsFound + actionResultsMissed;
  const limit = storedBytesMax === undefined ? '' : ` of ${formatBytes(storedBytesMax)}`;
  const parts = [
    ...(storedBytes === undefined ? [] : [formatBytes(storedBytes) + limit]),
    ...(blobs === undefined ? [] : [`${blobs} blobs`]),
    lookups === 0
      ? 'no action result was asked for yet'
      : `${Math.round((100 * actionResultsFound) / lookups)} % of ${lookups} action results found`,
  ];
  return [`cache: ${parts.join(', ')}`];
}

function workerTable(workers: readonly WorkerStatus[]): string[] {
  const rows = workers.map((worker) => [
    worker.workerId,
    worker.hostName,
    health(worker),
    `${used(worker)}/${worker.capacity?.slots ?? 0}`,
    worker.capacity === undefined ? '' : capacityText(worker.capacity),
    property(worker, 'sandbox'),
    worker.properties
      .filter(({ name }) => name === 'toolchain')
      .map(({ value }) => value)
      .join(' '),
  ]);
  return formatTable(['WORKER', 'HOST', 'STATE', 'SLOTS', 'CAPACITY', 'SANDBOX', 'TOOLCHAINS'], rows);
}

function describeProperties({ workerId, properties }: WorkerStatus): string[] {
  return ['', `${workerId} offers:`, ...properties.map(({ name, value }) => `  ${name}=${value}`)];
}

function operationTable(operations: readonly OperationFacts[]): string[] {
  const rows = operations.map(({ name, stage, worker, action, outcome }) => [
    shortOperationName(name),
    stage,
    worker,
    action.slice(0, 12),
    outcome,
  ]);
  return formatTable(['OPERATION', 'STAGE', 'WORKER', 'ACTION', 'OUTCOME'], rows);
}

function health({ draining, unhealthyReason }: WorkerStatus): string {
  if (unhealthyReason !== '') return `unwell: ${unhealthyReason}`;
  return draining ? 'draining' : 'ready';
}

function used({ capacity, free }: WorkerStatus): number {
  return (capacity?.slots ?? 0) - (free?.slots ?? 0);
}

function capacityText({ cpuMillis, memoryBytes, gpus }: Resources): string {
  const gpuText =
    gpus.length === 0 ? '' : `, ${gpus.length} GPU (${[...new Set(gpus.map(({ arch }) => arch))].join(' ')})`;
  return `${cpuMillis / 1000} cores, ${formatBytes(memoryBytes)}${gpuText}`;
}

function property({ properties }: WorkerStatus, name: string): string {
  return properties.find((entry) => entry.name === name)?.value ?? '';
}

function statusFacts(status: FarmStatus): object {
  return {
    version: status.version,
    uptimeSeconds: status.uptime?.seconds ?? 0,
    bus: status.bus,
    queued: status.queued,
    executing: status.executing,
    completed: status.completed,
    actionCacheHits: status.actionCacheHits,
    joined: status.joined,
    ...(status.cache !== undefined && { cache: status.cache }),
    workers: status.workers.map((worker) => ({
      id: worker.workerId,
      hostName: worker.hostName,
      draining: worker.draining,
      unhealthyReason: worker.unhealthyReason,
      properties: worker.properties.map(({ name, value }) => ({ name, value })),
      capacity: worker.capacity,
      free: worker.free,
      operations: worker.operationNames,
    })),
  };
}
