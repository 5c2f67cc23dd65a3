import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FastCdc } from '../../../cache/chunking/fast-cdc.ts';
import { announcedFastCdcParams, fastCdcParams } from '../../../cache/chunking/fast-cdc-params.ts';
import { sampleBytes } from '../bytes.ts';
import { referenceCuts } from './reference-fast-cdc.ts';

/** The published vectors of remote-apis, `fastcdc2020_test_vectors.txt`: length and SHA-256 of each chunk of the picture. */
const VECTORS = [
  {
    seed: 0,
    chunks: [
      [19186, '0f9efa589121d5d9e9e2c4ace91337d77cae866537143f6f15a0ffd525a77c2d'],
      [19279, 'c7c86a165573c16448cda35c9169742e85645af42be22889f8b96b8ee0ec7cb0'],
      [17354, 'bc88521e28a8b4479cdea5f75aa721a24f3a0a7d0be903aa6d505c574e51e89d'],
      [16387, '4b8dac2652e4685c629d2bb1ae9d4448e676b86f2e67ca0b2fff3d9580184b79'],
      [19940, 'c0a7062da6f2386c28e086ee0cedd5732252741269838773cff1ddb05b2df6ed'],
      [17320, '7fa5b12134dc75cd2ac8dc60d3a8f3c8d22f0ee9d4cf74a4aa937e2a0d2d79a5'],
    ],
  },
  {
    seed: 666,
    chunks: [
      [17635, 'cb3a9d80a3569772d4ed331ca37ab0c862c759897b890fc1aac90a4f2ea3a407'],
      [17334, 'd758c6b7b0b7eef1e996f8ccd17de6c645360b03a26c35541e7581348ac08944'],
      [19136, '24846aefd89e510594bae3e9d7d5ea5012067601512610fed126a3c57ba993f5'],
      [17467, 'efa785e1fefb49f190e665f72fd246c1442079874508c312196da1fb3040d00b'],
      [23593, 'a2f557bdd8d40d8faada963ad5f91ec54b10ccee7c5ae72754a65137592dc607'],
      [14301, 'e131100b4a7147ccad19dc63c4a2fac1f5d8b644e1373eeb6803825024234efc'],
    ],
  },
] as const;

const picture = () => readFile(new URL('./sekien-akashita.jpg', import.meta.url));

const SMALL = { minBytes: 256, avgBytes: 1024, maxBytes: 4096, seed: 0 };

describe('FastCDC 2020', () => {
  for (const { seed, chunks } of VECTORS) {
    for (const feedBytes of [Number.POSITIVE_INFINITY, 4096, 1]) {
      it(`cuts the published picture where the vectors say, seed ${seed}, fed ${feedBytes} bytes at a time`, async () => {
        const bytes = await picture();
        expect(hash('sha256', bytes)).toBe(
          'd9e749d9367fc908876749d6502eb212fee88c9a94892fb07da5ef3ba8bc39ed',
        );
        const params = { minBytes: 4096, avgBytes: 16384, maxBytes: 65535, seed };

        const cuts = allCuts(bytes, { params, feedBytes });

        const found = cuts.map((end, index) => {
          const chunk = bytes.subarray(cuts[index - 1] ?? 0, end);
          return [chunk.byteLength, hash('sha256', chunk)];
        });
        expect(found).toEqual(chunks);
      });
    }
  }

  it('cuts as the two-bytes-a-step definition does, whatever the pieces it is fed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 20_000, minLength: 0 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.constantFrom(4096, 4095, 1025),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (bytes, feedBytes, maxBytes, seed) => {
          const params = { ...SMALL, maxBytes, seed };
          expect(allCuts(bytes, { params, feedBytes })).toEqual(referenceCuts(bytes, params));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('leaves a cut at the very last byte out when that byte has no second one in its step', () => {
    const bytes = sampleBytes(100_000, 1);
    const cuts = referenceCuts(bytes, SMALL);
    const evenCuts = cuts.filter((cut, index) => (cut - (cuts[index - 1] ?? 0)) % 2 === 0);
    expect(evenCuts.length).toBeGreaterThan(20);
    for (const length of evenCuts.slice(0, 20).flatMap((cut) => [cut, cut + 1, cut + 2])) {
      const prefix = bytes.subarray(0, length);
      for (const feedBytes of [length, 1]) {
        expect(allCuts(prefix, { params: SMALL, feedBytes })).toEqual(referenceCuts(prefix, SMALL));
      }
    }
  });

  it('cuts zeros at the maximum and gives the rest as a chunk of its own', () => {
    expect(allCuts(new Uint8Array(10_000), { params: SMALL, feedBytes: 333 })).toEqual([4096, 8192, 10_000]);
  });

  it('finds no chunk in no bytes', () => {
    expect(allCuts(new Uint8Array(0), { params: SMALL, feedBytes: 1 })).toEqual([]);
  });
});

describe('parameters from an announced average', () => {
  it('are a quarter and four times the average', () => {
    expect(fastCdcParams(1024, 7)).toEqual({ minBytes: 256, avgBytes: 1024, maxBytes: 4096, seed: 7 });
    expect(announcedFastCdcParams).toEqual({
      minBytes: 131_072,
      avgBytes: 524_288,
      maxBytes: 2_097_152,
      seed: 0,
    });
  });

  it.each([0, 512, 1000, 3 * 1024, 2 * 1024 * 1024, Number.NaN])('refuse an average of %s', (average) => {
    expect(fastCdcParams(average)).toBeUndefined();
  });
});

function allCuts(
  bytes: Uint8Array,
  { params, feedBytes }: { readonly params: typeof SMALL; readonly feedBytes: number },
): number[] {
  const chunker = new FastCdc(params);
  const cuts: number[] = [];
  for (let start = 0; start < bytes.byteLength; start += feedBytes) {
    cuts.push(...chunker.push(bytes.subarray(start, start + feedBytes)));
  }
  const end = chunker.end();
  return end === undefined ? cuts : [...cuts, end];
}
