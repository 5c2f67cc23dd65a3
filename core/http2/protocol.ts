/** Types of HTTP/2 frames (RFC 9113, section 6). */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames; what a bit means depends on the type. */
export const FrameFlag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** What a connection or a stream ends with (RFC 9113, section 7). */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;

/** Numbers of settings (RFC 9113, section 6.5.2). */
export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Length of what stands before each frame. */
export const FRAME_HEADER_BYTES = 9;
/** Windows, of connections and of streams, before anyone says otherwise. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** No window may grow past this. */
export const WINDOW_BYTES_MAX = 2 ** 31 - 1;
/** Frames before anyone says otherwise, and the least that a setting may say. */
export const DEFAULT_FRAME_BYTES_MAX = 16_384;
/** The most that a setting may say. */
export const FRAME_BYTES_CEILING = 2 ** 24 - 1;
/** The dynamic table of HPACK before anyone says otherwise. */
export const DEFAULT_HEADER_TABLE_BYTES = 4096;
/** What a client sends first. */
export const PREFACE: Uint8Array = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
