import assert from 'node:assert/strict';
import type { MetricFamily } from './metric-family.ts';
import type { MetricSource } from './metric-source.ts';
import { prometheusText } from './prometheus-text.ts';

/** The sources of a process, one registry a process, handed to whoever has numbers to show. */
export class MetricRegistry {
  readonly #sources = new Set<MetricSource>();

  /** Adds a source. Several may have points of one family, of the same kind and with labels of their own. */
  add(source: MetricSource): void {
    this.#sources.add(source);
  }

  /** All families as they are now, by name. */
  families(): MetricFamily[] {
    const families = new Map<string, MetricFamily>();
    for (const source of this.#sources) {
      for (const family of source.metrics()) {
        const earlier = families.get(family.name);
        assert(
          earlier === undefined || earlier.kind === family.kind,
          `metric ${family.name} is a ${earlier?.kind} and a ${family.kind}`,
        );
        const points = [...(earlier?.points ?? []), ...family.points];
        families.set(family.name, { ...family, points } as MetricFamily);
      }
    }
    return [...families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The families in Prometheus's text format. */
  text(): string {
    return prometheusText(this.families());
  }
}
