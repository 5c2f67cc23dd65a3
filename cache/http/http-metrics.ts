import { CALL_SECONDS, Histogram } from '../../core/metrics/histogram.ts';
import { counter, histogram, type MetricFamily } from '../../core/metrics/metric-family.ts';
import type { MetricSource } from '../../core/metrics/metric-source.ts';

const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'PUT',
  'DELETE',
  'PROPFIND',
  'MKCOL',
  'OPTIONS',
]);
const VIEW = /\/(webdav|cas|ac)(?:\/|$)/;

/** A request that was answered, or whose client left. */
export interface HttpRequestEnd {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly seconds: number;
}

interface Route {
  readonly view: string;
  readonly method: string;
  readonly seconds: Histogram;
  readonly statuses: Map<number, number>;
}

/** Requests to an HTTP server, by view, method and status. What clients make up is `other`. */
export class HttpMetrics implements MetricSource {
  readonly #routes = new Map<string, Route>();
  /** Of bodies. */
  receivedBytes = 0;
  sentBytes = 0;

  ended({ method, url, status, seconds }: HttpRequestEnd): void {
    const route = this.#route(VIEW.exec(url)?.[1] ?? 'other', METHODS.has(method) ? method : 'other');
    route.seconds.observe(seconds);
    route.statuses.set(status, (route.statuses.get(status) ?? 0) + 1);
  }

  metrics(): MetricFamily[] {
    const routes = [...this.#routes.values()];
    return [
      counter(
        'ingot_http_requests_total',
        'HTTP requests by status; 499 is a client that left before its answer was whole.',
        routes.flatMap(({ view, method, statuses }) =>
          [...statuses].map(([status, value]) => ({
            labels: { view, method, status: String(status) },
            value,
          })),
        ),
      ),
      histogram(
        'ingot_http_request_seconds',
        'From the head of a request to the end of its answer.',
        routes.map(({ view, method, seconds }) => ({ labels: { view, method }, histogram: seconds })),
      ),
      counter(
        'ingot_http_received_bytes_total',
        'Bytes of PUT bodies that were read for their values.',
        this.receivedBytes,
      ),
      counter('ingot_http_sent_bytes_total', 'Bytes of values in answers.', this.sentBytes),
    ];
  }

  #route(view: string, method: string): Route {
    const key = `${view} ${method}`;
    let route = this.#routes.get(key);
    if (route === undefined) {
      route = { view, method, seconds: new Histogram(CALL_SECONDS), statuses: new Map() };
      this.#routes.set(key, route);
    }
    return route;
  }
}
