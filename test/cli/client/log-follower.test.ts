import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LogFollower } from '../../../cli/client/log-follower.ts';
import { notFound, unavailable } from '../../../core/error.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import type { ByteStreamDefinition } from '../../../proto/gen/google/bytestream/bytestream.ts';

/** Streams that give what they hold from the offset on and then end, or throw. */
function follower(...streams: { text: string; end?: Error }[]) {
  const offsets: number[] = [];
  let shown = '';
  const byteStream = {
    async *read({ readOffset }: { readOffset: number }) {
      offsets.push(readOffset);
      const stream = streams.shift();
      if (stream === undefined) throw new Error('asked too often');
      yield { data: Buffer.from(stream.text).subarray(readOffset) };
      if (stream.end !== undefined) throw stream.end;
    },
  } as unknown as ServiceClient<ByteStreamDefinition>;
  const made = new LogFollower({
    byteStream,
    write: async (bytes) => {
      shown += Buffer.from(bytes).toString();
    },
  });
  return { follower: made, offsets, shown: () => shown };
}

describe('LogFollower', () => {
  it('goes on where it was when the connection broke', async () => {
    const {
      follower: log,
      offsets,
      shown,
    } = follower({ text: 'abc', end: unavailable('gone') }, { text: 'abcdef' });
    await log.follow('logs/op/stdout');
    expect([shown(), offsets]).toEqual(['abcdef', [0, 3]]);
    expect(log.shown).toEqual({ sizeBytes: 6, sha256: createHash('sha256').update('abcdef').digest('hex') });
  });

  it('ends without an error when the stream is refused: the result has the output', async () => {
    const { follower: log, shown } = follower({ text: 'ab', end: notFound('no such stream') });
    await log.follow('logs/op/stdout');
    expect(shown()).toBe('ab');
  });
});
