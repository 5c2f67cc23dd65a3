import { Http2Error } from './http2-error.ts';
import {
  DEFAULT_FRAME_BYTES_MAX,
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  FRAME_BYTES_CEILING,
  SettingId,
  WINDOW_BYTES_MAX,
} from './protocol.ts';

const SETTING_BYTES = 6;

/** What the peer has said in its SETTINGS. Others than these do not matter to a server that adds to no table. */
export class PeerSettings {
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  frameBytesMax = DEFAULT_FRAME_BYTES_MAX;

  /** Takes the payload of a SETTINGS frame. Throws an Http2Error when it is none. */
  apply(bytes: Buffer, start: number, end: number): void {
    if ((end - start) % SETTING_BYTES !== 0) {
      throw new Http2Error(ErrorCode.frameSizeError, 'SETTINGS are cut short');
    }
    for (let at = start; at < end; at += SETTING_BYTES) {
      this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    }
  }

  #set(id: number, value: number): void {
    if (id === SettingId.initialWindowSize) {
      if (value > WINDOW_BYTES_MAX)
        throw outOfRange(ErrorCode.flowControlError, 'INITIAL_WINDOW_SIZE', value);
      this.initialWindowBytes = value;
    } else if (id === SettingId.maxFrameSize) {
      if (value < DEFAULT_FRAME_BYTES_MAX || value > FRAME_BYTES_CEILING) {
        throw outOfRange(ErrorCode.protocolError, 'MAX_FRAME_SIZE', value);
      }
      this.frameBytesMax = value;
    } else if (id === SettingId.enablePush && value > 1) {
      throw outOfRange(ErrorCode.protocolError, 'ENABLE_PUSH', value);
    }
  }
}

function outOfRange(code: number, name: string, value: number): Http2Error {
  return new Http2Error(code, `the setting ${name} is ${value}, which it cannot be`);
}
