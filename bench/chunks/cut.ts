import { createHash, randomFillSync } from 'node:crypto';
import { parseArgs } from 'node:util';
import { FastCdc } from '../../cache/chunking/fast-cdc.ts';
import { announcedFastCdcParams } from '../../cache/chunking/fast-cdc-params.ts';

/**
 * Question: how fast does FastCDC find its cuts in plain JavaScript, beside the SHA-256 that every byte takes anyway?
 * Random bytes in pieces as files are read, per second of processor time; the median of the rounds. Prints a table, or
 * JSON with --json.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    mib: { type: 'string', default: '256' },
    'piece-kib': { type: 'string', default: '128' },
  },
});
const MIB = 1024 * 1024;
const PIECE_BYTES = Number(values['piece-kib']) * 1024;
const bytes = Buffer.alloc(Number(values.mib) * MIB);
for (let start = 0; start < bytes.length; start += 64 * MIB) {
  randomFillSync(bytes, start, Math.min(64 * MIB, bytes.length - start));
}

function megabytesPerSecond(take: (piece: Buffer) => unknown): number {
  const began = process.cpuUsage();
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    take(bytes.subarray(start, start + PIECE_BYTES));
  }
  return bytes.length / process.cpuUsage(began).user;
}

const cut: number[] = [];
const hashed: number[] = [];
let chunks = 0;
for (let round = 0; round < Number(values.rounds); round += 1) {
  const chunker = new FastCdc(announcedFastCdcParams);
  chunks = 0;
  cut.push(
    megabytesPerSecond((piece) => {
      chunks += chunker.push(piece).length;
    }),
  );
  const hasher = createHash('sha256');
  hashed.push(megabytesPerSecond((piece) => hasher.update(piece)));
}

const median = (figures: readonly number[]): number =>
  Math.round(figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] as number);
const result = {
  megabytes: Math.round(bytes.length / 1e6),
  chunks,
  fastCdcMegabytesPerSecond: median(cut),
  sha256MegabytesPerSecond: median(hashed),
};
if (values.json) console.log(JSON.stringify(result));
else console.table(result);
