import { monitorEventLoopDelay } from 'node:perf_hooks';
import { counter, gauge, type MetricFamily } from './metric-family.ts';
import type { MetricSource } from './metric-source.ts';

/** How often it is looked whether the event loop comes round; a stall is seen whenever it happens. */
const LAG_RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;

/** What every process has to show: memory, processor time, and how late the event loop runs. Dispose of it. */
export class ProcessMetrics implements MetricSource, Disposable {
  readonly #lag: ReturnType<typeof monitorEventLoopDelay>;

  constructor() {
    this.#lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
    this.#lag.enable();
  }

  metrics(): MetricFamily[] {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, external } = process.memoryUsage();
    const startSeconds = (Date.now() - performance.now()) / 1000;
    return [
      counter('process_cpu_seconds_total', 'Processor time of all threads.', (user + system) / 1e6),
      gauge('process_resident_memory_bytes', 'Memory the process holds.', rss),
      gauge('process_start_time_seconds', 'When the process started, in seconds since 1970.', startSeconds),
      gauge('ingot_memory_bytes', 'Memory of the JavaScript heap, and of buffers outside it.', [
        { labels: { part: 'heap' }, value: heapUsed },
        { labels: { part: 'buffers' }, value: external },
      ]),
      this.#lagFamily(),
    ];
  }

  [Symbol.dispose](): void {
    this.#lag.disable();
  }

  /** Since the last look, so that a stall does not stand in the numbers for ever. */
  #lagFamily(): MetricFamily {
    // What the clock itself waits for is not lag. Without a look yet there is nothing to tell.
    const over = (nanoseconds: number): number =>
      this.#lag.count === 0 ? 0 : Math.max(0, nanoseconds / NANOSECONDS - LAG_RESOLUTION_MS / 1000);
    const points = [
      { labels: { of: 'median' }, value: over(this.#lag.percentile(50)) },
      { labels: { of: 'p99' }, value: over(this.#lag.percentile(99)) },
      { labels: { of: 'max' }, value: over(this.#lag.max) },
    ];
    this.#lag.reset();
    return gauge(
      'ingot_event_loop_lag_seconds',
      'How late the event loop ran since the last scrape.',
      points,
    );
  }
}
