import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlobIndex, IN_FILE } from '../../../cache/disk/blob-index.ts';
import { indexWordsOf } from '../../../cache/disk/index-words.ts';
import { Digest } from '../../../core/digest.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

const SHA256 = DigestFunction_Value.SHA256;

/** Few hashes, alike in their first words, so that they meet in the table. */
function digestOf(number: number): Digest {
  const hash = `${'0'.repeat(8 + (number % 3) * 8)}${number.toString(16).padStart(4, '0')}`.padEnd(64, 'a');
  return Digest.of(hash, 100 + number, number % 2 === 0 ? SHA256 : DigestFunction_Value.BLAKE3);
}

function idOf(index: BlobIndex, digest: Digest): number {
  return index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
}

function add(index: BlobIndex, digest: Digest): number {
  const { digestFunction, sizeBytes } = digest;
  return index.add({ words: indexWordsOf(digest), digestFunction, sizeBytes }, 7);
}

describe('BlobIndex', () => {
  it('holds what a Map would, whatever is done to it in whatever order', () => {
    const operation = fc.record({
      what: fc.constantFrom('add', 'add', 'remove', 'place', 'instance'),
      number: fc.nat(400),
      value: fc.nat(80),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 1500 }), (operations) => {
        const index = new BlobIndex();
        const model = new Map<number, { segment: number; offset: number; instances: Set<number> }>();
        for (const { what, number, value } of operations) {
          const digest = digestOf(number);
          const known = model.get(number);
          const id = idOf(index, digest);
          expect(id >= 0).toBe(known !== undefined);
          if (what === 'add' && known === undefined) {
            add(index, digest);
            model.set(number, { segment: IN_FILE, offset: 0, instances: new Set() });
          } else if (known !== undefined && what === 'remove') {
            index.remove(id);
            model.delete(number);
          } else if (known !== undefined && what === 'place') {
            index.place(id, value, value * 8);
            Object.assign(known, { segment: value, offset: value * 8 });
          } else if (known !== undefined && what === 'instance') {
            index.instances.add(id, value);
            known.instances.add(value);
          }
        }
        expect(index.size).toBe(model.size);
        for (let number = 0; number <= 400; number += 1) {
          const digest = digestOf(number);
          const known = model.get(number);
          const id = idOf(index, digest);
          expect(id >= 0).toBe(known !== undefined);
          if (known === undefined) continue;
          expect(index.segmentOf(id)).toBe(known.segment);
          expect(index.offsetOf(id)).toBe(known.offset);
          expect(index.sizeOf(id)).toBe(digest.sizeBytes);
          expect(new Set(index.instances.of(id))).toEqual(known.instances);
          for (let instance = 0; instance < 80; instance += 1) {
            expect(index.instances.has(id, instance)).toBe(known.instances.has(instance));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('grows, and keeps ids and entries', () => {
    const index = new BlobIndex();
    const digests = Array.from({ length: 70_000 }, (_, number) =>
      Digest.ofBytes(Buffer.from(String(number))),
    );
    const ids = digests.map((digest) => add(index, digest));
    expect(new Set(ids).size).toBe(digests.length);
    expect(digests.every((digest, number) => idOf(index, digest) === ids[number])).toBe(true);
    expect(idOf(index, Digest.of('f'.repeat(64), 3))).toBe(-1);
  });

  it('finds a hash whatever its size, and a digest only with its size and function', () => {
    const index = new BlobIndex();
    const digest = digestOf(4);
    const id = add(index, digest);
    expect(index.findHash(digest.words, SHA256)).toBe(id);
    expect(index.find(digest.words, SHA256, digest.sizeBytes + 1)).toBe(-1);
    expect(index.find(digest.words, DigestFunction_Value.BLAKE3, digest.sizeBytes)).toBe(-1);
  });

  it('does not confuse long hashes that begin alike', () => {
    const head = 'a'.repeat(64);
    const [one, two] = ['0', '1'].map((end) =>
      Digest.of(head + end.repeat(64), 5, DigestFunction_Value.SHA512),
    );
    const index = new BlobIndex();
    add(index, one!);
    expect(idOf(index, one!)).toBe(0);
    expect(idOf(index, two!)).toBe(-1);
  });

  it('counts the bytes of files alone', () => {
    const index = new BlobIndex();
    const [file, record] = [add(index, digestOf(1)), add(index, digestOf(2))];
    index.place(file, IN_FILE, 0);
    index.place(record, 3, 64);
    expect(index.fileBytes).toBe(101);
    index.place(file, 4, 64);
    expect(index.fileBytes).toBe(0);
    index.place(record, IN_FILE, 0);
    index.remove(record);
    expect(index.fileBytes).toBe(0);
  });
});
