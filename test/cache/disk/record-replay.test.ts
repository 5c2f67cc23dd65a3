import { describe, expect, it } from 'vitest';
import { BlobIndex } from '../../../cache/disk/blob-index.ts';
import { indexWordsOf } from '../../../cache/disk/index-words.ts';
import { RecordReplay } from '../../../cache/disk/record-replay.ts';
import { dropFields, type RecordFields, RecordKind } from '../../../cache/disk/segment-record.ts';
import { sampleBlob } from '../bytes.ts';

const { digest } = sampleBlob(100, 1);
const damaged = { segment: 3, offset: 800 };
const good = { segment: 2, offset: 1600 };

type Step = readonly [segment: number, record: Partial<RecordFields>];
const bytesAt = ({ segment, offset }: { segment: number; offset: number }): Step => [
  segment,
  { kind: RecordKind.blob, offset },
];
const dropOf = (place: { segment: number; offset: number }, segment: number): Step => [
  segment,
  { kind: RecordKind.drop, ...dropFields(place) },
];

/** Where the blob is found to be, and in which instances. */
function replayed(...steps: readonly Step[]) {
  const index = new BlobIndex(() => undefined);
  const replay = new RecordReplay({ index, onMisfit: () => undefined });
  for (const [segment, record] of steps) {
    replay.enter(
      { kind: RecordKind.blob, digest, instance: 5, seconds: 1, payloadBytes: 100, offset: 0, ...record },
      segment,
    );
  }
  const id = index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
  const place = id < 0 ? undefined : { segment: index.segmentOf(id), offset: index.offsetOf(id) };
  return { place, instanceMax: replay.instanceMax };
}

describe('RecordReplay', () => {
  it('takes out what was struck off', () => {
    expect(replayed(bytesAt(damaged), dropOf(damaged, 3)).place).toBeUndefined();
  });

  it('keeps what was stored again, in whichever segment and order', () => {
    const later = { segment: 4, offset: 80 };
    expect(replayed(bytesAt(damaged), bytesAt(later), dropOf(damaged, 5)).place).toEqual(later);
    expect(replayed(bytesAt(damaged), dropOf(damaged, 4), bytesAt(later)).place).toEqual(later);
    expect(replayed(bytesAt(good), bytesAt(damaged), dropOf(damaged, 4)).place).toEqual(good);
    const behind = { segment: 3, offset: 8000 };
    expect(replayed(bytesAt(damaged), bytesAt(behind), dropOf(damaged, 3)).place).toEqual(behind);
  });

  it('takes out what was stored again and struck off again', () => {
    const steps = [bytesAt(good), bytesAt(damaged), dropOf(damaged, 4), dropOf(good, 5)];
    expect(replayed(...steps).place).toBeUndefined();
    const other = [bytesAt(good), bytesAt(damaged), dropOf(good, 4), dropOf(damaged, 5)];
    expect(replayed(...other).place).toBeUndefined();
  });

  it('does not take the place in a drop for an instance', () => {
    const far = { segment: 900, offset: 8 };
    expect(replayed(bytesAt(good), dropOf(far, 901))).toEqual({ place: good, instanceMax: 5 });
  });
});
