import { describe, expect, it } from 'vitest';
import type { Authenticator } from '../../../core/auth/authenticator.ts';
import type { MethodRights } from '../../../core/auth/method-rights.ts';
import { type Caller, callerRoles } from '../../../core/caller.ts';
import { unauthenticated, unavailable } from '../../../core/error.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { HealthDefinition } from '../../../proto/gen/grpc/health/v1/health.ts';
import { rejection } from '../../setup/rejection.ts';
import { EchoDefinition, type EchoHandlers, startEcho } from '../../setup/rpc.ts';

const rights: MethodRights<typeof EchoDefinition> = {
  unary: ['read'],
  download: ['read', 'work'],
  upload: ['write'],
  both: [],
};

/** Knows callers by their token, of which the text is the caller's name. */
class Callers implements Authenticator {
  readonly known = new Map<string, Caller>();
  /** Whether it must think first. */
  slow = false;
  away = false;

  constructor(roles: Partial<Record<string, keyof typeof callerRoles>>) {
    for (const [name, role] of Object.entries(roles)) {
      if (role !== undefined) this.known.set(name, { name, rights: new Set(callerRoles[role]) });
    }
  }

  authenticate(authorization: string | undefined): Caller | Promise<Caller> {
    if (this.away) throw unavailable('who calls cannot be told for now');
    const caller = this.known.get(authorization?.replace('Bearer ', '') ?? '');
    if (this.slow) {
      return caller === undefined ? Promise.reject(unauthenticated('unknown')) : Promise.resolve(caller);
    }
    if (caller === undefined) throw unauthenticated('unknown');
    return caller;
  }
}

async function start(callers: Callers, handlers: EchoHandlers = {}, echoRights?: typeof rights) {
  const echo = await startEcho(handlers, {}, 0, { authenticator: callers, rights: echoRights });
  const channels: RpcChannel[] = [];
  return {
    ...echo,
    as: (token: string | undefined) => {
      const channel = new RpcChannel({ address: echo.address, security: { token: () => token } });
      channels.push(channel);
      return channel;
    },
    async [Symbol.asyncDispose]() {
      for (const channel of channels) await channel.close();
      await echo[Symbol.asyncDispose]();
    },
  };
}

async function* oneRequest() {
  yield { value: Buffer.from('x') };
}

describe('RpcServer', () => {
  for (const slow of [false, true]) {
    it(`tells handlers who calls${slow ? ', when it takes time to find out too' : ''}`, async () => {
      const callers = new Callers({ ann: 'reader' });
      callers.slow = slow;
      await using server = await start(
        callers,
        { unary: async (_request, { caller }) => ({ value: caller.name }) },
        rights,
      );
      expect(await server.as('ann').client(EchoDefinition).unary({ value: '' })).toEqual({ value: 'ann' });
      const error = await rejection(server.as('eve').client(EchoDefinition).unary({ value: '' }));
      expect([error.code, error.message]).toEqual([Code.UNAUTHENTICATED, 'unknown']);
    });
  }

  it('does not run a handler for a caller who lacks the right, and says which', async () => {
    let runs = 0;
    await using server = await start(
      new Callers({ ann: 'reader' }),
      {
        async upload() {
          runs += 1;
          return { value: '' };
        },
      },
      rights,
    );
    const ann = server.as('ann').client(EchoDefinition);
    const error = await rejection(ann.upload(oneRequest()));
    expect([error.code, error.message]).toEqual([
      Code.PERMISSION_DENIED,
      'Call /ingot.test.Echo/Upload: ann lacks the right write',
    ]);
    expect(runs).toBe(0);
  });

  it('takes any one of the rights of a rule, and any known caller where there is none in it', async () => {
    await using server = await start(new Callers({ w: 'worker', s: 'scheduler' }), {}, rights);
    for (const name of ['w', 's']) {
      const client = server.as(name).client(EchoDefinition);
      for await (const { value } of client.download({ value: name })) expect(value.toString()).toBe(name);
      const both = async function* () {
        yield { value: name };
      };
      for await (const { value } of client.both(both())) expect(value).toBe(name);
    }
  });

  it('asks for every right where nobody has made a rule', async () => {
    await using server = await start(new Callers({ pub: 'publisher' }));
    const error = await rejection(server.as('pub').client(EchoDefinition).unary({ value: '' }));
    expect([error.code, error.message]).toEqual([
      Code.PERMISSION_DENIED,
      'Call /ingot.test.Echo/Unary: pub lacks the right work',
    ]);
  });

  it('answers health checks without a credential', async () => {
    await using server = await start(new Callers({}), {}, rights);
    expect(await server.as(undefined).client(HealthDefinition).check({ service: '' })).toMatchObject({
      status: 1,
    });
  });

  it('ends an open stream when its caller is no longer known, or may do something else', async () => {
    const callers = new Callers({ gone: 'reader', demoted: 'worker', stays: 'reader' });
    const open = new Set<string>();
    await using server = await start(
      callers,
      {
        async *download(_request, { signal, caller }) {
          yield { value: Buffer.from('begun') };
          open.add(caller.name);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          open.delete(caller.name);
        },
      },
      rights,
    );
    const ends = ['gone', 'demoted'].map(async (name) => {
      const client = server.as(name).client(EchoDefinition);
      const error = await rejection(drain(client.download({ value: '' })));
      return [error.code, error.message];
    });
    const staying = new AbortController();
    const stays = rejection(
      drain(server.as('stays').client(EchoDefinition).download({ value: '' }, { signal: staying.signal })),
    );
    await expect.poll(() => open.size).toBe(3);
    callers.known.delete('gone');
    callers.known.set('demoted', { name: 'demoted', rights: new Set(['read']) });
    expect(await Promise.all(ends)).toEqual([
      [Code.UNAUTHENTICATED, 'unknown'],
      [Code.UNAUTHENTICATED, 'what demoted may do has changed since the call began'],
    ]);
    callers.away = true;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect([...open]).toEqual(['stays']);
    staying.abort();
    await stays;
  });

  it('logs one line for each call it refuses, without the secret', async () => {
    await using server = await start(new Callers({ ann: 'reader' }), {}, rights);
    await rejection(server.as('secret-of-eve').client(EchoDefinition).unary({ value: '' }));
    await rejection(server.as('ann').client(EchoDefinition).upload(oneRequest()));
    const refusals = server.log.filter(({ message }) => message === 'a call was refused');
    expect(refusals).toMatchObject([
      { method: '/ingot.test.Echo/Unary', reason: 'unknown', peer: expect.stringContaining('127.0.0.1:') },
      {
        method: '/ingot.test.Echo/Upload',
        caller: 'ann',
        reason: 'Call /ingot.test.Echo/Upload: ann lacks the right write',
      },
    ]);
    expect(JSON.stringify(server.log)).not.toContain('secret-of-eve');
  });
});

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source) {
    // Only the end counts.
  }
}
