import type { Histogram } from './histogram.ts';
import type { MetricFamily, MetricLabels } from './metric-family.ts';

/** The media type of what {@link prometheusText} gives. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Metrics in Prometheus's text format. Families without a point are left out. */
export function prometheusText(families: readonly MetricFamily[]): string {
  return families
    .filter(({ points }) => points.length > 0)
    .map(familyText)
    .join('');
}

function familyText(family: MetricFamily): string {
  const { name, help, kind } = family;
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`];
  if (family.kind === 'histogram') {
    for (const { labels, histogram } of family.points) lines.push(...histogramLines(name, labels, histogram));
  } else {
    for (const { labels, value } of family.points) lines.push(line(name, labels, value));
  }
  return `${lines.join('\n')}\n`;
}

function histogramLines(
  name: string,
  labels: MetricLabels | undefined,
  { bounds, counts, sum }: Histogram,
): string[] {
  let below = 0;
  const lines: string[] = [];
  for (const [index, count] of counts.entries()) {
    below += count;
    const le = index < bounds.length ? String(bounds[index]) : '+Inf';
    lines.push(line(`${name}_bucket`, { ...labels, le }, below));
  }
  return [...lines, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, below)];
}

function line(name: string, labels: MetricLabels = {}, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
