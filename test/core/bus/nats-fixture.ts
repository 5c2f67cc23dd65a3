import { NatsMessageBus, type NatsMessageBusOptions } from '../../../core/bus/nats-message-bus.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { NatsServer } from '../../setup/nats-server.ts';

/** A bus, to be held with `await using`. */
export async function connectBus(
  url: string,
  options: Partial<NatsMessageBusOptions> = {},
): Promise<NatsMessageBus> {
  return await NatsMessageBus.connect({ url, name: 'test', logger: silentLogger, ...options });
}

/** A server of the test's own, to be maltreated; held with `await using`. */
export async function startNats(config?: string): Promise<NatsServer> {
  return await NatsServer.start(config === undefined ? {} : { config });
}
