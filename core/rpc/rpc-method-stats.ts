import { type Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { CALL_SECONDS, Histogram } from '../metrics/histogram.ts';
import { counter, gauge, histogram, type MetricFamily } from '../metrics/metric-family.ts';

/** gRPC's codes are 0 to 16. */
const CODES = 17;

/** What was seen of the calls of one method. Counting a call costs some tens of nanoseconds, a message less. */
export class RpcMethodStats {
  /** `/package.Service/Method` */
  readonly path: string;
  /** Calls that are over, by code. */
  readonly codes = new Float64Array(CODES);
  readonly seconds = new Histogram(CALL_SECONDS);
  running = 0;
  /** Of messages with their gRPC headers, as they stand on the wire. */
  receivedBytes = 0;
  sentBytes = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** A call that began at this time of `performance.now()`, and was counted as running then, is over. */
  end(startMs: number, code: Code): void {
    this.running -= 1;
    this.codes[code] = (this.codes[code] ?? 0) + 1;
    this.seconds.observe((performance.now() - startMs) / 1000);
  }
}

/** The calls of a server as Prometheus sees them; methods that nobody called are left out. */
export function rpcMetrics(all: Iterable<RpcMethodStats>): MetricFamily[] {
  const called = [...all].filter(({ running, codes }) => running > 0 || codes.some((count) => count > 0));
  const point = ({ path }: RpcMethodStats, value: number) => ({ labels: { method: path.slice(1) }, value });
  return [
    counter(
      'ingot_rpc_calls_total',
      'Calls that are over, by method and status code.',
      called.flatMap(byCode),
    ),
    histogram(
      'ingot_rpc_call_seconds',
      'From the head of a call to its status; that of a stream is as long as the client makes it.',
      called.map(({ path, seconds }) => ({ labels: { method: path.slice(1) }, histogram: seconds })),
    ),
    gauge(
      'ingot_rpc_calls_running',
      'Calls under way.',
      called.map((stats) => point(stats, stats.running)),
    ),
    counter(
      'ingot_rpc_received_bytes_total',
      'Bytes of requests.',
      called.map((stats) => point(stats, stats.receivedBytes)),
    ),
    counter(
      'ingot_rpc_sent_bytes_total',
      'Bytes of responses.',
      called.map((stats) => point(stats, stats.sentBytes)),
    ),
  ];
}

function byCode({ path, codes }: RpcMethodStats) {
  return [...codes].flatMap((value, code) =>
    value === 0 ? [] : [{ labels: { method: path.slice(1), code: codeToJSON(code as Code) }, value }],
  );
}
