import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { showRest } from '../../../cli/client/final-output.ts';
import { Digest } from '../../../core/digest.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

function shown(text: string) {
  return { sizeBytes: text.length, sha256: createHash('sha256').update(text).digest('hex') };
}

async function rest(
  final: string,
  live: string,
  byDigest = false,
): Promise<{ text: string; different: boolean }> {
  const store = new MemoryBlobStore();
  const digest = store.add(final).toMessage();
  let text = '';
  let different = false;
  const output = byDigest ? { raw: Buffer.alloc(0), digest } : { raw: Buffer.from(final), digest: undefined };
  await showRest(output, shown(live), {
    store,
    write: async (bytes) => {
      text += Buffer.from(bytes).toString();
    },
    onDifferent: () => {
      different = true;
    },
  });
  return { text, different };
}

describe('showRest', () => {
  it.each([false, true])('shows what was not shown live (by digest: %s)', async (byDigest) => {
    expect(await rest('hello world', 'hello ', byDigest)).toEqual({ text: 'world', different: false });
  });

  it('shows nothing when all was shown', async () => {
    expect(await rest('hello', 'hello')).toEqual({ text: '', different: false });
  });

  it('shows all when nothing was shown', async () => {
    expect(await rest('hello', '')).toEqual({ text: 'hello', different: false });
  });

  it.each(['jello', 'hello and more'])('says so and shows all when %s was shown', async (live) => {
    expect(await rest('hello', live)).toEqual({ text: 'hello', different: true });
  });

  it('fails when the farm lost the output', async () => {
    const digest = Digest.ofBytes(Buffer.from('gone'));
    const options = {
      store: new MemoryBlobStore(),
      write: async () => undefined,
      onDifferent: () => undefined,
    };
    await expect(
      showRest({ raw: Buffer.alloc(0), digest: digest.toMessage() }, shown(''), options),
    ).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `read output ${digest}: the farm names it in a result and does not have it`,
    });
  });
});
