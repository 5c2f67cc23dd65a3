import type { Authenticator } from '../../core/auth/authenticator.ts';
import type { MethodRights } from '../../core/auth/method-rights.ts';
import type { LogDestination } from '../../core/log/logger.ts';
import { createLogger, type Logger } from '../../core/log/logger.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { RpcServerLimits } from '../../core/rpc/rpc-limits.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import type { ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import { BytesValue, StringValue } from '../../proto/gen/google/protobuf/wrappers.ts';

/** A service with a method of each shape, for tests of what lies below services. */
export const EchoDefinition = {
  name: 'Echo',
  fullName: 'ingot.test.Echo',
  methods: {
    unary: {
      name: 'Unary',
      requestType: StringValue as typeof StringValue,
      requestStream: false,
      responseType: StringValue as typeof StringValue,
      responseStream: false,
    },
    download: {
      name: 'Download',
      requestType: StringValue as typeof StringValue,
      requestStream: false,
      responseType: BytesValue as typeof BytesValue,
      responseStream: true,
    },
    upload: {
      name: 'Upload',
      requestType: BytesValue as typeof BytesValue,
      requestStream: true,
      responseType: StringValue as typeof StringValue,
      responseStream: false,
    },
    both: {
      name: 'Both',
      requestType: StringValue as typeof StringValue,
      requestStream: true,
      responseType: StringValue as typeof StringValue,
      responseStream: true,
    },
  },
} as const;

/** Handlers of {@link EchoDefinition}; those that a test does not give answer with what they got. */
export type EchoHandlers = Partial<ServiceImplementation<typeof EchoDefinition>>;

const echo: ServiceImplementation<typeof EchoDefinition> = {
  unary: async (request) => request,
  async *download({ value }) {
    yield { value: Buffer.from(value) };
  },
  async upload(requests) {
    let bytes = 0;
    for await (const { value } of requests) bytes += value.length;
    return { value: String(bytes) };
  },
  async *both(requests) {
    yield* requests;
  },
};

/** A running server of an Echo service, a channel to it, and what it logged. */
export interface EchoServer extends AsyncDisposable {
  readonly server: RpcServer;
  readonly channel: RpcChannel;
  readonly address: string;
  readonly port: number;
  readonly log: readonly Record<string, unknown>[];
}

/** Who may call it; by default anyone may call anything. */
interface EchoCallers {
  readonly authenticator?: Authenticator;
  readonly rights?: MethodRights<typeof EchoDefinition> | undefined;
}

/** Starts one, on a port of its own when none is wanted; dispose of it with `await using`. */
export async function startEcho(
  handlers: EchoHandlers = {},
  limits: Partial<RpcServerLimits> = {},
  wantedPort = 0,
  { authenticator, rights }: EchoCallers = {},
): Promise<EchoServer> {
  const { logger, log } = recordingLogger();
  const server = new RpcServer({ logger, limits, ...(authenticator && { authenticator }) });
  server.addService(EchoDefinition, { ...echo, ...handlers }, rights);
  const { host, port } = await server.listen({ host: '127.0.0.1', port: wantedPort });
  const channel = new RpcChannel({ address: `${host}:${port}` });
  return {
    server,
    channel,
    address: `${host}:${port}`,
    port,
    log,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.close({ graceMs: 0 });
    },
  };
}

function recordingLogger(): { logger: Logger; log: Record<string, unknown>[] } {
  const log: Record<string, unknown>[] = [];
  const destination: LogDestination = { write: (line) => void log.push(JSON.parse(line)) };
  return { logger: createLogger({ level: 'debug', format: 'json', destination }), log };
}
