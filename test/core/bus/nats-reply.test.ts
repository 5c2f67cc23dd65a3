import { headers } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { BUS_PAYLOAD_BYTES_MAX } from '../../../core/bus/message-bus.ts';
import { decodeNatsReply, encodeNatsReply } from '../../../core/bus/nats-reply.ts';
import { IngotError, notFound } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { Status } from '../../../proto/gen/google/rpc/status.ts';
import { thrown } from '../../setup/rejection.ts';

const marked = (code: string) => {
  const all = headers();
  all.set('Ingot-Code', code);
  return all;
};

test('a payload goes as it is, without headers', () => {
  const payload = Buffer.from('x');
  expect(encodeNatsReply({ payload })).toEqual({ data: payload });
  expect(decodeNatsReply({ data: payload })).toBe(payload);
});

test('every code comes back as it was', () => {
  for (const code of Object.values(Code)) {
    if (code <= Code.OK) continue;
    const sent = encodeNatsReply({ error: new IngotError(code, 'm') });
    expect(thrown(() => decodeNatsReply(sent))).toMatchObject({ code, message: 'm' });
  }
});

test('details that do not fit are left out, and an endless message is cut', () => {
  const huge = { typeUrl: 'x/y', value: Buffer.alloc(BUS_PAYLOAD_BYTES_MAX) };
  const sent = encodeNatsReply({ error: notFound('m'.repeat(10 ** 6), { details: [huge] }) });
  expect(sent.data.byteLength).toBeLessThan(BUS_PAYLOAD_BYTES_MAX);
  const error = thrown(() => decodeNatsReply(sent));
  expect(error).toMatchObject({ code: Code.NOT_FOUND, message: 'm'.repeat(64 * 1024) });
  expect(error.details).toEqual([]);
});

test.for([0, -1, 17, 1000])('a code that means nothing, %d, becomes UNKNOWN', (code) => {
  const data = Status.encode({ code, message: 'm', details: [] }).finish();
  expect(thrown(() => decodeNatsReply({ data, headers: marked(String(code)) }))).toMatchObject({
    code: Code.UNKNOWN,
    message: 'm',
  });
});

test('an error that cannot be read is INTERNAL', () => {
  expect(thrown(() => decodeNatsReply({ data: Buffer.from([0x80]), headers: marked('5') }))).toMatchObject({
    code: Code.INTERNAL,
    message: 'the error in a bus reply is not a well-formed message',
  });
});
