import type { MethodRights, RightsRule } from '../auth/method-rights.ts';
import { type IngotError, unimplemented } from '../error.ts';
import { RpcMethodStats } from './rpc-method-stats.ts';
import type {
  CallContext,
  MethodDefinition,
  ServiceDefinition,
  ServiceImplementation,
} from './rpc-service.ts';

/** A handler whose message types have been forgotten; the codecs beside it know them. */
export type RpcHandler = (request: unknown, context: CallContext) => unknown;

/** One method that can be called. */
export interface RpcMethod {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly definition: MethodDefinition;
  readonly handler: RpcHandler;
  /** What it takes to call it; undefined: every right, since nobody has said. */
  readonly rights: RightsRule | 'public' | undefined;
  readonly stats: RpcMethodStats;
  /** Size of the last message it has answered with, as a guess of the next. */
  answerBytes: number;
}

/** The guess before there was any, for messages that carry a payload. */
const PAYLOAD_BYTES = 64 * 1024;

/** Which handler serves which path. */
export class RpcRouter {
  readonly #methods = new Map<string, RpcMethod>();
  readonly #services = new Set<string>();

  /** Full names of the services, in the order they were added. */
  get serviceNames(): readonly string[] {
    return [...this.#services];
  }

  /** Adds a service; each name once. A method that the implementation lacks is UNIMPLEMENTED. */
  add<D extends ServiceDefinition>(
    definition: D,
    implementation: ServiceImplementation<D>,
    rights?: MethodRights<D>,
  ): void {
    if (this.#services.has(definition.fullName)) {
      throw new Error(`Add service ${definition.fullName}: it is there already`);
    }
    this.#services.add(definition.fullName);
    const handlers = implementation as Readonly<Record<string, RpcHandler | undefined>>;
    for (const [key, method] of Object.entries(definition.methods)) {
      const handler = handlers[key]?.bind(implementation);
      if (handler === undefined) continue;
      const path = `/${definition.fullName}/${method.name}`;
      this.#methods.set(path, {
        ...{ path, definition: method, handler, rights: rights?.[key] },
        stats: new RpcMethodStats(path),
        answerBytes: method.responseType.encodeParts === undefined ? 0 : PAYLOAD_BYTES,
      });
    }
  }

  /** What was seen of each method. */
  *stats(): Generator<RpcMethodStats> {
    for (const { stats } of this.#methods.values()) yield stats;
  }

  find(path: string): RpcMethod | undefined {
    return this.#methods.get(path);
  }

  /** Why a path is not served. */
  explainMissing(path: string): IngotError {
    const [, service = ''] = path.split('/', 2);
    return this.#services.has(service)
      ? unimplemented(`Call ${path.slice(0, 256)}: service ${service} has no such method here`)
      : unimplemented(`Call ${path.slice(0, 256)}: this server has no such service`);
  }
}
