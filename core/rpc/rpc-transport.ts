import type { Http2Limits } from '../http2/http2-limits.ts';
import type { RpcServerLimits } from './rpc-limits.ts';

// PING: a client that measures its bandwidth sends one each round trip. The others are rarer.
const IDLE_FRAMES = { burst: 20_000, perSecond: 10_000 } as const;
const SETTINGS = { burst: 1000, perSecond: 100 } as const;

/** What the connections below a server allow, for what it allows. */
export function transportLimits(limits: RpcServerLimits): Http2Limits {
  return {
    streamsMax: limits.streamsPerSessionMax,
    headerBytesMax: limits.headerBytesMax,
    firstWindowBytes: limits.firstWindowBytes,
    wideWindowBytes: limits.wideWindowBytes,
    wideStreamsMax: limits.wideStreamsMax,
    connectionWindowBytes: limits.sessionWindowBytes,
    resets: { burst: limits.resetBurst, perSecond: limits.resetsPerSecond },
    idleFrames: IDLE_FRAMES,
    settings: SETTINGS,
  };
}
