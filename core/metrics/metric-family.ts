import type { Histogram } from './histogram.ts';

/** What tells points of one family apart: method, code, outcome. Never anything a client makes up. */
export type MetricLabels = Readonly<Record<string, string>>;

/** One number of a family. */
export interface NumberPoint {
  readonly labels?: MetricLabels;
  readonly value: number;
}

/** One distribution of a family. */
export interface HistogramPoint {
  readonly labels?: MetricLabels;
  readonly histogram: Histogram;
}

/** All points of one name, as Prometheus has it: unit and, for a counter, `_total` last. */
export type MetricFamily = { readonly name: string; readonly help: string } & (
  | { readonly kind: 'counter' | 'gauge'; readonly points: readonly NumberPoint[] }
  | { readonly kind: 'histogram'; readonly points: readonly HistogramPoint[] }
);

/** What only grows, until the process ends. */
export function counter(name: string, help: string, points: readonly NumberPoint[] | number): MetricFamily {
  return { kind: 'counter', name, help, points: asPoints(points) };
}

/** What goes up and down. */
export function gauge(name: string, help: string, points: readonly NumberPoint[] | number): MetricFamily {
  return { kind: 'gauge', name, help, points: asPoints(points) };
}

/** How something is distributed. */
export function histogram(name: string, help: string, points: readonly HistogramPoint[]): MetricFamily {
  return { kind: 'histogram', name, help, points };
}

function asPoints(points: readonly NumberPoint[] | number): readonly NumberPoint[] {
  return typeof points === 'number' ? [{ value: points }] : points;
}
