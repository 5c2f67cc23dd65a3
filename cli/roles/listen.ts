import type { Cache } from '../../cache/main.ts';
import type { ServerSecurity } from '../../core/auth/server-security.ts';
import { failedPrecondition } from '../../core/error.ts';
import { addReflection } from '../../core/rpc/reflection-service.ts';
import type { RpcAddress, RpcServer } from '../../core/rpc/rpc-server.ts';
import { systemCodeOf } from '../client/file-error.ts';
import { HintedError } from '../hinted-error.ts';

/** `HOST:PORT`, with brackets around an IPv6 address. */
export function formatAddress({ host, port }: RpcAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Listens for gRPC, with reflection of all services; an address that is taken is an error that names `--grpc`. */
export async function listenRpc(rpc: RpcServer, address: RpcAddress): Promise<RpcAddress> {
  await addReflection(rpc);
  return explained('--grpc', 'gRPC', address, () => rpc.listen(address));
}

/** Listens for HTTP; an address that is taken is an error that names `--http`. */
export function listenHttp(
  cache: Cache,
  address: RpcAddress,
  security?: ServerSecurity,
): Promise<RpcAddress> {
  return explained('--http', 'HTTP', address, () => cache.listenHttp(address, security));
}

async function explained(
  flag: string,
  what: string,
  address: RpcAddress,
  listen: () => Promise<RpcAddress>,
): Promise<RpcAddress> {
  try {
    return await listen();
  } catch (error) {
    const systemCode =
      systemCodeOf(error) ?? (error instanceof Error ? systemCodeOf(error.cause) : undefined);
    const why = REASONS.get(systemCode ?? '');
    if (why === undefined) throw error;
    throw new HintedError(
      failedPrecondition(`listen for ${what} on ${formatAddress(address)}: ${why}`, { cause: error }),
      `choose another with ${flag} HOST:PORT; port 0 takes a free one`,
    );
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'the port is in use by another process'],
  ['EADDRNOTAVAIL', 'this machine has no such address'],
  ['EACCES', 'this user may not use that port'],
  ['ENOTFOUND', 'the host name is not known'],
]);
