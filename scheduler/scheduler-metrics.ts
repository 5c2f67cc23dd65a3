import { counter, gauge, type MetricFamily } from '../core/metrics/metric-family.ts';
import type { SchedulerCounters } from './scheduler-counters.ts';
import type { SchedulerState } from './state/scheduler-state.ts';
import { capacityOf, type WorkerState } from './state/worker-state.ts';

/** What the scheduler has to show: its queue, what runs, and the workers it hears of. */
export function schedulerMetrics(state: SchedulerState, counters: SchedulerCounters): MetricFamily[] {
  const queued = state.queuedCount + state.offered.size;
  const executing = state.operations.size - state.completed.size - queued;
  const workers = [...state.workers.values()].filter(({ heartbeat }) => heartbeat !== undefined);
  const count = (is: (worker: WorkerState) => boolean) => workers.filter(is).length;
  const sum = (of: (worker: WorkerState) => number) =>
    workers.reduce((total, worker) => total + of(worker), 0);
  const isUnwell = ({ heartbeat }: WorkerState) => (heartbeat?.unhealthyReason ?? '') !== '';
  const isDraining = (worker: WorkerState) => !isUnwell(worker) && worker.heartbeat?.draining === true;
  const point = (label: string) => (name: string, value: number) => ({ labels: { [label]: name }, value });
  const stage = point('stage');
  const health = point('state');
  return [
    gauge('ingot_operations', 'Operations by where they are.', [
      stage('queued', queued),
      stage('executing', executing),
    ]),
    counter('ingot_operations_completed_total', 'Operations that came to an end.', state.completedTotal),
    counter('ingot_operations_joined_total', 'Executes that joined a run under way.', state.joinedTotal),
    counter(
      'ingot_operations_cached_total',
      'Executes that were answered from the action cache.',
      counters.actionCacheHits,
    ),
    gauge('ingot_workers', 'Workers that are heard of.', [
      health('ready', workers.length - count(isUnwell) - count(isDraining)),
      health('draining', count(isDraining)),
      health('unwell', count(isUnwell)),
    ]),
    gauge(
      'ingot_worker_slots',
      'Slots of all workers.',
      sum((worker) => capacityOf(worker).slots),
    ),
    gauge(
      'ingot_worker_slots_used',
      'Slots that are leased.',
      sum(({ inUse }) => inUse.slots),
    ),
  ];
}
