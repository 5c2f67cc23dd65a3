import { describe, expect, it } from 'vitest';
import { journalHeader, journalProgress, parseJournal } from '../../../cache/uploads/upload-journal.ts';
import { sampleBlob } from '../bytes.ts';

const { digest } = sampleBlob(5000);
const header = journalHeader({ key: 'team\0uuid\n', digest }).toString();
const progress = (bytes: number) => journalProgress(bytes).toString();

describe('parseJournal', () => {
  it('reads the name, the digest and the last progress', () => {
    const journal = parseJournal(header + progress(1000) + progress(3000));
    expect(journal).toMatchObject({ key: 'team\0uuid\n', durableBytes: 3000 });
    expect(journal?.digest.key).toBe(digest.key);
    expect(parseJournal(header)?.durableBytes).toBe(0);
  });

  it('stops at a line that was torn or changed', () => {
    const torn = progress(3000).slice(0, -5);
    expect(parseJournal(header + progress(1000) + torn)?.durableBytes).toBe(1000);
    const changed = progress(3000).replace('3000', '4000');
    expect(parseJournal(header + progress(1000) + changed + progress(5000))?.durableBytes).toBe(1000);
  });

  it('knows nothing when the first line is not sound', () => {
    for (const content of ['', 'x', '\n', header.slice(0, -3), header.replace('uuid', 'uuie')]) {
      expect(parseJournal(content)).toBeUndefined();
    }
  });
});
