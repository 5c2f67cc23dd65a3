import { RpcChannel, type RpcChannelOptions } from '../../core/rpc/rpc-channel.ts';
import type { CallOptions, ServiceClient, ServiceDefinition } from '../../core/rpc/rpc-service.ts';

interface FarmChannelOptions extends RpcChannelOptions {
  /** Added to every call; a call's own options come first. */
  readonly callOptions: CallOptions;
}

type Caller = (request: never, options?: CallOptions) => unknown;

/** A channel whose calls all carry what the RequestMetadata header says of us. */
export class FarmChannel extends RpcChannel {
  readonly #callOptions: CallOptions;

  constructor(options: FarmChannelOptions) {
    super(options);
    this.#callOptions = options.callOptions;
  }

  override client<D extends ServiceDefinition>(definition: D): ServiceClient<D> {
    const callers: [string, Caller][] = Object.entries(super.client(definition));
    const withOptions = callers.map(([name, call]): [string, Caller] => [
      name,
      (request, options) => call(request, { ...this.#callOptions, ...options }),
    ]);
    return Object.fromEntries(withOptions) as ServiceClient<D>;
  }
}
