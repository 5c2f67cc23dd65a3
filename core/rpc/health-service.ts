import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthDefinition,
  type HealthListResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../proto/gen/grpc/health/v1/health.ts';
import { notFound, unavailable } from '../error.ts';
import type { CallContext, ServiceImplementation } from './rpc-service.ts';

/** The name that stands for the server as a whole. */
export const WHOLE_SERVER = '';

/**
 * grpc.health.v1: whether the server, and each of its services, takes calls. Whoever knows says so with
 * `setServing`; a drained server is not serving, and its watchers are sent away.
 */
export class HealthService implements ServiceImplementation<typeof HealthDefinition> {
  readonly #serving = new Map<string, boolean>();
  readonly #watchers = new Set<() => void>();
  #draining = false;

  /** Says whether a service takes calls; `WHOLE_SERVER` is the server itself. */
  setServing(service: string, serving: boolean): void {
    this.#serving.set(service, serving);
    this.#wakeWatchers();
  }

  /** Nothing serves from now on. */
  drain(): void {
    this.#draining = true;
    this.#wakeWatchers();
  }

  async check({ service }: HealthCheckRequest): Promise<HealthCheckResponse> {
    const status = this.#status(service);
    if (status === undefined)
      throw notFound(`Check the health of "${service}": there is no such service here`);
    return { status };
  }

  async list(): Promise<HealthListResponse> {
    const statuses: HealthListResponse['statuses'] = {};
    for (const service of this.#serving.keys()) {
      statuses[service] = { status: this.#status(service) ?? ServingStatus.SERVICE_UNKNOWN };
    }
    return { statuses };
  }

  async *watch(
    { service }: HealthCheckRequest,
    { signal }: CallContext,
  ): AsyncGenerator<HealthCheckResponse> {
    let sent: ServingStatus | undefined;
    let changed = Promise.withResolvers<void>();
    const wake = (): void => changed.resolve();
    this.#watchers.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        const status = this.#status(service) ?? ServingStatus.SERVICE_UNKNOWN;
        if (status !== sent) {
          sent = status;
          yield { status };
          // It may have changed while this was being sent.
          continue;
        }
        if (this.#draining)
          throw unavailable(`Watch the health of "${service}": the server is shutting down`);
        await changed.promise;
        changed = Promise.withResolvers();
      }
    } finally {
      this.#watchers.delete(wake);
      signal.removeEventListener('abort', wake);
    }
  }

  #status(service: string): ServingStatus | undefined {
    const serving = this.#serving.get(service);
    if (serving === undefined) return undefined;
    return serving && !this.#draining ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  #wakeWatchers(): void {
    for (const wake of this.#watchers) wake();
  }
}
