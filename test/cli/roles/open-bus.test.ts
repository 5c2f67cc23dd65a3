import { describe, expect, it, onTestFinished } from 'vitest';
import { openPrivateBus } from '../../../cli/roles/open-bus.ts';
import { findProgram, withSystemFolders } from '../../../cli/toolchain/find-program.ts';
import { Lifecycle } from '../../../core/lifecycle.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { tempFolder } from '../temp-folder.ts';

const program = await findProgram('nats-server', withSystemFolders(process.env.PATH));

describe('openPrivateBus', () => {
  it.skipIf(program === undefined)('starts a nats-server of its own, and never shows its token', async () => {
    const lifecycle = new Lifecycle({ logger: silentLogger });
    onTestFinished(() => lifecycle.shutdown({ deadlineMs: 5_000 }));
    const opened = await openPrivateBus(
      { logger: silentLogger, lifecycle },
      { data: tempFolder(), path: process.env.PATH },
    );
    expect(opened.description).toMatch(/^private NATS at 127\.0\.0\.1:\d+$/);
    expect(opened.explanation).toMatch(/^a private \/\S*nats-server at 127\.0\.0\.1:\d+$/);
    await opened.bus.subscribe('a', async () => Buffer.from('b'));
    const reply = await opened.bus.request('a', Buffer.from(''), { timeoutMs: 1_000 });
    expect(Buffer.from(reply).toString()).toBe('b');
  });
});
