import { connect, errors, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { delay, linkedAbort, throwIfAborted } from '../abort.ts';
import {
  deadlineExceeded,
  failedPrecondition,
  invalidArgument,
  unauthenticated,
  unavailable,
} from '../error.ts';
import type { IoOptions } from '../io-options.ts';
import type { Logger } from '../log/logger.ts';
import { BUS_PAYLOAD_BYTES_MAX } from './message-bus.ts';

/** How long one try to connect may take. */
const DIAL_TIMEOUT_MS = 2_000;
/** Between tries, and as much again at random, so that a farm does not come back in step. */
const RETRY_DELAY_MS = 250;
/** A server that hangs is taken for gone after three of these, when two pings are unanswered; the library's own 2 minutes are far too long. */
const PING_INTERVAL_MS = 10_000;
/** What our reply headers add to a payload, generously. */
const HEADER_BYTES_MAX = 1024;

/** What {@link connectToNats} needs to know. */
export interface NatsConnectOptions extends IoOptions {
  /** `nats://[user:password@|token@]HOST[:PORT]` or `tls://…`; several with commas between, for a cluster. */
  readonly url: string;
  /** Shown in the server's list of clients. */
  readonly name: string;
  readonly logger: Logger;
  /** How long to wait for a server at all. */
  readonly timeoutMs: number;
}

/**
 * Connects, trying again until a server answers, the time is up (UNAVAILABLE) or the signal aborts. Once connected
 * it reconnects for ever. A server that cannot carry our messages is refused at once, and so are bad credentials.
 */
export async function connectToNats(options: NatsConnectOptions): Promise<NatsConnection> {
  const { name, logger, timeoutMs } = options;
  const { connection, shown } = parseNatsUrl(options.url);
  const timeUp = deadlineExceeded('time is up');
  using abort = linkedAbort(options.signal, { timeoutMs, timeoutError: timeUp });
  for (let attempt = 1; ; attempt += 1) {
    try {
      return checked(await connect({ ...connectionOptions(name), ...connection }), shown);
    } catch (error) {
      if (error instanceof errors.AuthorizationError) {
        throw unauthenticated(`NATS server at ${shown} refused the credentials`, { cause: error });
      }
      if (!(error instanceof Error) || error.name === 'IngotError') throw error;
      if (attempt === 1)
        logger.warn({ url: shown, reason: error.message }, 'NATS server not there yet, trying on');
      try {
        await delay(RETRY_DELAY_MS * (1 + Math.random()), { signal: abort.signal });
      } catch (reason) {
        if (reason !== timeUp) throw reason;
        throw unavailable(
          `no NATS server at ${shown} within ${timeoutMs} ms (${attempt} tries): ${error.message}`,
          { cause: error },
        );
      }
    }
    throwIfAborted(options.signal);
  }
}

function connectionOptions(name: string): NodeConnectionOptions {
  return {
    name,
    timeout: DIAL_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_DELAY_MS,
    reconnectJitter: RETRY_DELAY_MS,
    reconnectJitterTLS: RETRY_DELAY_MS,
    // A server that restarts with its user file missing for a moment must not end the process's bus for good.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
  };
}

interface ParsedNatsUrl {
  readonly connection: NodeConnectionOptions;
  /** Without credentials, for messages. */
  readonly shown: string;
}

function parseNatsUrl(text: string): ParsedNatsUrl {
  const urls = text.split(',').map((part) => {
    const url = URL.parse(part.trim());
    if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
      throw invalidArgument('NATS URL is malformed, expected nats://HOST:PORT or tls://HOST:PORT');
    }
    return url;
  });
  const servers = urls.map(({ hostname, port }) => `${hostname}:${port || '4222'}`);
  const [first] = urls;
  const user = decodeURIComponent(first?.username ?? '');
  const pass = decodeURIComponent(first?.password ?? '');
  const credentials = user === '' ? {} : pass === '' ? { token: user } : { user, pass };
  const tls = urls.some(({ protocol }) => protocol === 'tls:') ? { tls: {} } : {};
  return { connection: { servers, ...credentials, ...tls }, shown: servers.join(', ') };
}

function checked(connection: NatsConnection, shown: string): NatsConnection {
  const { info } = connection;
  const needed = BUS_PAYLOAD_BYTES_MAX + HEADER_BYTES_MAX;
  let problem: string | undefined;
  if (info?.headers !== true) problem = 'has message headers switched off, which bus errors travel in';
  else if (info.max_payload < needed)
    problem = `has max_payload ${info.max_payload}, at least ${needed} is needed`;
  if (problem === undefined) return connection;
  void connection.close();
  throw failedPrecondition(`NATS server at ${shown} ${problem}`);
}
