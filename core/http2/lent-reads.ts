import { Socket } from 'node:net';

/** What node's sockets are made of, which its documentation does not name; all that is asked of it is to change hands. */
interface SocketWithHandle {
  _handle: object | null;
}

/** Takes what has come; the bytes are only lent, and are others as soon as it returns. */
export type LentBytesListener = (bytes: Buffer) => void;

/**
 * The same connection as a socket that reads into `buffer`, which all connections of a thread may share. A socket of a
 * server can be given no buffer: it takes 64 KiB of new memory for each read, however little comes, and the garbage of
 * that cost an upload more than its hash (docs/decisions/0014). The accepted socket must not have been read from
 * (`pauseOnConnect`); it lives on, empty, as what its server counts.
 */
export function readInto(accepted: Socket, buffer: Buffer, listener: LentBytesListener): Socket {
  const holder = accepted as unknown as SocketWithHandle;
  const handle = holder._handle;
  if (handle === null) {
    // It was closed before it came to us: its own end will be seen.
    accepted.on('data', listener).resume();
    return accepted;
  }
  holder._handle = null;
  const options = {
    handle,
    onread: {
      buffer,
      callback: (bytesRead: number, filled: Uint8Array): boolean => {
        listener(filled.subarray(0, bytesRead) as Buffer);
        return true;
      },
    },
  };
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  socket.once('close', () => accepted.destroy());
  return socket;
}
