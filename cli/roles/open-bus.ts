import { join } from 'node:path';
import { InProcessMessageBus } from '../../core/bus/in-process-message-bus.ts';
import type { MessageBus } from '../../core/bus/message-bus.ts';
import { NatsMessageBus } from '../../core/bus/nats-message-bus.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { RoleHost } from '../../core/role.ts';
import { PrivateNatsServer } from '../private-nats-server.ts';
import { findProgram, withSystemFolders } from '../toolchain/find-program.ts';

/** A message bus and what to call it. */
export interface OpenedBus {
  readonly bus: MessageBus;
  /** For `ingot status`: `in process`, or the server's address. */
  readonly description: string;
  /** A sentence for the person who starts the farm. */
  readonly explanation: string;
}

interface PrivateBusOptions extends IoOptions {
  /** Holds the server's configuration. */
  readonly data: string;
  readonly path: string | undefined;
}

interface NatsBusOptions {
  readonly url: string;
  /** This process, for the server's list of connections. */
  readonly name: string;
  /** Where several farms share a server. Default `ingot`. */
  readonly busPrefix?: string;
}

/** The bus of a farm of several processes: a NATS server that somebody runs. */
export async function connectBus(
  { url, name, busPrefix: subjectPrefix }: NatsBusOptions,
  { logger, lifecycle }: RoleHost,
  options: IoOptions = {},
): Promise<OpenedBus> {
  const bus = lifecycle.use(
    'message bus',
    await NatsMessageBus.connect({ url, name, subjectPrefix, logger, signal: options.signal }),
  );
  const address = withoutCredentials(url);
  return { bus, description: `NATS at ${address}`, explanation: `the NATS server at ${address}` };
}

/** The bus of a farm in one process: a nats-server of its own where there is the program, else inside the process. */
export async function openPrivateBus(
  host: RoleHost,
  { data, path, signal }: PrivateBusOptions,
): Promise<OpenedBus> {
  const program = await findProgram('nats-server', withSystemFolders(path));
  if (program === undefined) {
    return {
      bus: host.lifecycle.use('message bus', new InProcessMessageBus({ logger: host.logger })),
      description: 'in process',
      explanation: 'inside this process, since there is no nats-server on PATH',
    };
  }
  const { logger, lifecycle } = host;
  const server = lifecycle.use(
    'private nats-server',
    await PrivateNatsServer.start({ program, folder: join(data, 'run'), path, logger }),
  );
  const { bus } = await connectBus({ url: server.url, name: 'ingot up' }, host, { signal });
  const address = withoutCredentials(server.url);
  return {
    bus,
    description: `private NATS at ${address}`,
    explanation: `a private ${program} at ${address}`,
  };
}

function withoutCredentials(url: string): string {
  return url.replaceAll(/(nats|tls):\/\/(?:[^@/,]*@)?/g, '');
}
