import { resolve } from 'node:path';
import { compare, compareSettings } from '../peers/compare.ts';
import { IngotContestant } from '../peers/ingot-contestant.ts';
import { StaticFileContestant } from './static-file-contestant.ts';

/**
 * Question: what do segments gain over a file a blob, call by call, and how near do reads come to the plainest file
 * server that node:http allows? The load is that of bench/peers. See README.md.
 */
const SMALL_WRITE = /^(?:write (?:1|16) KiB|BatchUpdate)/;
/** Segments were made for durable small uploads. */
const SMALL_WRITE_AIM = 5;

const settings = compareSettings();
await compare({
  contestants: [
    new IngotContestant({ profileFolder: settings.profile && resolve(settings.profile), http: true }),
    new IngotContestant({ name: 'a file a blob', flags: ['--small-blob-bytes', '0'] }),
    new StaticFileContestant(),
  ],
  settings,
  aimOf: ({ row }) => (SMALL_WRITE.test(row) ? SMALL_WRITE_AIM : undefined),
});
