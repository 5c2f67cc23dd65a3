import { once } from 'node:events';
import { Socket } from 'node:net';
import { LauncherReply, LauncherRequest } from '../../proto/gen/ingot/v1/launcher.ts';
import { encodeFrame, readFrames } from './frame.ts';
import { closeInheritedDescriptors } from './inherited-descriptors.ts';
import { LauncherSession } from './launcher-session.ts';

// The launcher's process. It is started by the agent (`launcher-process.ts`), which it hears by stdin and answers by
// stdout, with an environment that holds no secret. It opens no connection, and ends when the agent does.

/** Set by the agent when it has put this process into a mount namespace of its own. */
const OWN_MOUNT_NAMESPACE = '--own-mount-namespace';

closeInheritedDescriptors();
process.umask(0o022);
// Sent to a whole group by a terminal or a service manager; the agent drains first, and then closes stdin.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

// Not process.stdout, whose writes would hold up this process while the agent is busy.
const requests = new Socket({ fd: 0, readable: true, writable: false });
const replies = new Socket({ fd: 1, readable: false, writable: true });
// The agent is gone: stdin ends as well, and with it this process.
replies.on('error', () => requests.destroy());
const session = new LauncherSession({
  ownMountNamespace: process.argv.includes(OWN_MOUNT_NAMESPACE),
  userId: process.getuid?.(),
});

async function answer(request: LauncherRequest): Promise<void> {
  let pending: LauncherReply['reply'];
  const send = async (reply: LauncherReply['reply'], more: boolean): Promise<void> => {
    const frame = encodeFrame(LauncherReply.encode({ id: request.id, more, reply }).finish());
    if (!replies.write(frame)) await once(replies, 'drain');
  };
  for await (const reply of session.serve(request)) {
    if (pending !== undefined) await send(pending, true);
    pending = reply;
  }
  await send(pending, false);
  if (session.spoiled) requests.destroy();
}

try {
  for await (const frame of readFrames(requests)) {
    answer(LauncherRequest.decode(frame)).catch((error: unknown) => requests.destroy(error as Error));
  }
} finally {
  // Whatever ended the conversation, nothing may outlive it.
  session.close();
}
process.exit(0);
