import { createSecureServer, createServer, type Http2SecureServer, type Http2Server } from 'node:http2';
import type { TlsIdentity } from '../auth/tls-identity.ts';
import type { RpcServerLimits } from './rpc-limits.ts';

// Node counts in it what is queued for slow readers and refuses streams beyond it; our own limits bound the same
// memory without refusing anyone, so it is out of the way (in MB).
const SESSION_MEMORY_MB_MAX = 1_000_000;
// A client that opens its streams before it has read our settings is over the limit without knowing; it may be so
// for each stream of a burst.
const REJECTED_STREAMS_MAX = 10_000;

// Clients that heed it send an upload in a quarter of the frames that HTTP/2's default of 16 KiB makes.
const FRAME_BYTES_MAX = 64 * 1024;

/**
 * The HTTP/2 server below an RpcServer, clear text unless there is a TLS identity, with TCP_NODELAY (which Node sets for
 * every HTTP/2 session).
 */
export function createTransport(
  limits: RpcServerLimits,
  tls: TlsIdentity | undefined,
): Http2Server | Http2SecureServer {
  const options = {
    maxSessionMemory: SESSION_MEMORY_MB_MAX,
    maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
    settings: {
      enablePush: false,
      initialWindowSize: limits.streamWindowBytes,
      maxConcurrentStreams: limits.streamsPerSessionMax,
      maxFrameSize: FRAME_BYTES_MAX,
      maxHeaderListSize: limits.headerBytesMax,
    },
  };
  const server =
    tls === undefined ? createServer(options) : createSecureServer({ ...options, ...tls.options });
  if ('setSecureContext' in server) tls?.onChange((changed) => server.setSecureContext(changed));
  server.maxConnections = limits.sessionsMax;
  return server;
}
