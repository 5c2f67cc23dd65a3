import { describe, expect, it } from 'vitest';
import { unavailable } from '../../../core/error.ts';
import { RequestHeaders } from '../../../core/http2/request-headers.ts';
import { ServerCallContext } from '../../../core/rpc/rpc-call-context.ts';
import { REQUEST_METADATA_HEADER } from '../../../core/rpc/rpc-request-metadata.ts';
import { RequestMetadata } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { thrown } from '../../setup/rejection.ts';

/** Headers that count how often the request metadata is looked for. */
class WatchedHeaders extends RequestHeaders {
  looks = 0;

  override get(name: string): string | undefined {
    if (name === REQUEST_METADATA_HEADER) this.looks += 1;
    return super.get(name);
  }
}

function contextWith(metadata?: string) {
  const field = { name: REQUEST_METADATA_HEADER, value: metadata ?? '', allowed: true };
  const headers = new WatchedHeaders(metadata === undefined ? [] : [field as never]);
  return { headers, context: new ServerCallContext({ headers, deadlineMs: undefined, peer: 'test' }) };
}

describe('the context of a call', () => {
  it.each([
    ['none', undefined, undefined],
    ['malformed', '/////w', undefined],
    [
      'there',
      Buffer.from(
        RequestMetadata.encode(RequestMetadata.fromPartial({ toolInvocationId: 'i' })).finish(),
      ).toString('base64'),
      'i',
    ],
  ])(
    'reads the request metadata once when it is %s, however often it is asked for',
    (_, header, expected) => {
      const { context, headers } = contextWith(header);
      for (let time = 0; time < 100; time += 1) expect(context.invocationId).toBe(expected);
      expect(headers.looks).toBe(1);
    },
  );

  it('tells that the call is over without a signal, and with the reason that a signal has', () => {
    const { context } = contextWith();
    expect(() => context.throwIfAborted()).not.toThrow();
    context.end(undefined);
    expect(thrown(() => context.throwIfAborted())).toMatchObject({ code: 1, message: 'the call is over' });
    expect(context.signal.reason).toBe(thrown(() => context.throwIfAborted()));
  });

  it('tells why the call was ended, the first reason', () => {
    const { context } = contextWith();
    const { signal } = context;
    const reason = unavailable('the server is shutting down');
    context.end(reason);
    context.end(undefined);
    expect(thrown(() => context.throwIfAborted())).toBe(reason);
    expect(signal.reason).toBe(reason);
  });
});
