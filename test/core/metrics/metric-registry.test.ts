import { describe, expect, it } from 'vitest';
import { Histogram } from '../../../core/metrics/histogram.ts';
import { counter, gauge, histogram } from '../../../core/metrics/metric-family.ts';
import { MetricRegistry } from '../../../core/metrics/metric-registry.ts';
import { ScrapedMetrics } from '../../setup/scraped-metrics.ts';

describe('MetricRegistry', () => {
  it('shows what its sources count, as it is at that moment', () => {
    const registry = new MetricRegistry();
    let calls = 1;
    registry.add({ metrics: () => [counter('calls_total', 'Calls.', calls)] });
    registry.add({ metrics: () => [gauge('bytes', 'Bytes\nand "more" \\.', -1.5)] });
    const text = '# HELP bytes Bytes\\nand "more" \\\\.\n# TYPE bytes gauge\nbytes -1.5\n';
    expect(registry.text()).toBe(
      `${text}# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total 1\n`,
    );
    calls = 2;
    expect(registry.text()).toContain('calls_total 2\n');
  });

  it('joins the points of one family, and leaves out families without one', () => {
    const registry = new MetricRegistry();
    const point = (a: string) => ({ labels: { a }, value: 1 });
    registry.add({ metrics: () => [counter('x_total', 'X.', [point('1')]), gauge('none', 'None.', [])] });
    registry.add({ metrics: () => [counter('x_total', 'X.', [point('2 "\\\n')])] });
    expect(registry.text()).toBe(
      '# HELP x_total X.\n# TYPE x_total counter\nx_total{a="1"} 1\nx_total{a="2 \\"\\\\\\n"} 1\n',
    );
  });

  it('does not take one name for two kinds', () => {
    const registry = new MetricRegistry();
    registry.add({ metrics: () => [counter('x', 'X.', 1)] });
    registry.add({ metrics: () => [gauge('x', 'X.', 1)] });
    expect(() => registry.text()).toThrow('metric x is a counter and a gauge');
  });

  it('shows a histogram in buckets that hold all below them', () => {
    const registry = new MetricRegistry();
    const seconds = new Histogram([0.1, 1]);
    for (const value of [0, 0.1, 0.2, 1, 5]) seconds.observe(value);
    registry.add({ metrics: () => [histogram('s', 'S.', [{ labels: { m: 'a' }, histogram: seconds }])] });
    expect(registry.text()).toBe(
      '# HELP s S.\n# TYPE s histogram\n' +
        's_bucket{m="a",le="0.1"} 2\ns_bucket{m="a",le="1"} 4\ns_bucket{m="a",le="+Inf"} 5\n' +
        's_sum{m="a"} 6.3\ns_count{m="a"} 5\n',
    );
    expect(new ScrapedMetrics(registry.text()).value('s_bucket{le="1",m="a"}')).toBe(4);
  });
});
