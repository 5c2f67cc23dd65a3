import type { MetricFamily } from './metric-family.ts';

/**
 * A part that keeps numbers about itself. They are plain fields that it counts up as it works; here they are read,
 * when somebody asks for the metrics.
 */
export interface MetricSource {
  metrics(): Iterable<MetricFamily>;
}
