import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { tierMetrics } from '../../cache/tier/tier-metrics.ts';
import { newTierNumbers } from '../../cache/tier/tier-numbers.ts';
import { ScrapedMetrics } from '../setup/scraped-metrics.ts';
import { ingot } from './cli-process.ts';
import { UpFarm } from './up-farm.ts';

/** Names in the first column of the tables. */
async function documented(): Promise<string[]> {
  const text = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  return [...text.matchAll(/^\| `(\w+)`/gm)].map(([, name = '']) => name);
}

it('shows Prometheus, of a farm that has run an action, all that docs/metrics.md names and nothing else', async () => {
  await using farm = await UpFarm.start();
  const run = ['run', '--endpoint', farm.endpoint, '--', 'sh', '-c', 'echo hi'];
  for (let runs = 0; runs < 2; runs++) expect((await ingot(run)).code).toBe(0);
  const url = `http://${farm.http}/metrics`;
  await fetch(url);
  const seen = new ScrapedMetrics(await (await fetch(url)).text());
  const tier = tierMetrics({ ...newTierNumbers(), queued: 0, queuedBytes: 0, isAway: false });
  expect([...seen.names, ...tier.map(({ name }) => name)].sort()).toEqual((await documented()).sort());
  expect(seen.value('ingot_operations_completed_total')).toBe(1);
  expect(seen.value('ingot_action_cache_reads_total{outcome="hit"}')).toBeGreaterThan(0);
  expect(seen.value('ingot_workers{state="ready"}')).toBe(1);
  const { stdout } = await ingot(['status', '--endpoint', farm.endpoint]);
  expect(stdout).toMatch(/^cache: .*action results found$/m);
});
