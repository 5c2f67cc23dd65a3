import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { MetricRegistry } from '../../../core/metrics/metric-registry.ts';
import { ProcessMetrics } from '../../../core/metrics/process-metrics.ts';
import { ScrapedMetrics } from '../../setup/scraped-metrics.ts';

it('tells memory, processor time, and how late the event loop ran since the last look', async () => {
  using source = new ProcessMetrics();
  const registry = new MetricRegistry();
  registry.add(source);
  const scrape = () => new ScrapedMetrics(registry.text());
  await sleep(60);
  const stallEndMs = performance.now() + 300;
  while (performance.now() < stallEndMs);
  await sleep(60);
  const seen = scrape();
  const lagMax = 'ingot_event_loop_lag_seconds{of="max"}';
  expect(seen.value(lagMax)).toBeGreaterThan(0.2);
  expect(seen.value('process_resident_memory_bytes')).toBeGreaterThan(1e7);
  expect(seen.value('process_cpu_seconds_total')).toBeGreaterThan(0.2);
  expect(seen.value('process_start_time_seconds')).toBeLessThanOrEqual(Date.now() / 1000);
  expect(scrape().value(lagMax)).toBeLessThan(0.2);
});
