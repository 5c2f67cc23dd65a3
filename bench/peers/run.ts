import { resolve } from 'node:path';
import { BazelRemoteContestant } from './bazel-remote-contestant.ts';
import { BbStorageContestant } from './bb-storage-contestant.ts';
import { compare, compareSettings } from './compare.ts';
import type { Contestant } from './contestant.ts';
import { IngotContestant } from './ingot-contestant.ts';
import { NativeLinkContestant } from './nativelink-contestant.ts';

/**
 * Question: how many times the best rival is ingot, under one load that is written in neither's code? Each round
 * measures every server in turn, alone and on an empty folder; what counts is the median of the rounds. See README.md.
 */
const AIMS = { 'calls/s': 2, 'MB/s': 1.2 } as const;

const settings = compareSettings();
const { BAZEL_REMOTE, BB_STORAGE, NATIVELINK } = process.env;
const contestants: Contestant[] = [
  new IngotContestant({ profileFolder: settings.profile && resolve(settings.profile) }),
];
if (BAZEL_REMOTE) contestants.push(new BazelRemoteContestant(BAZEL_REMOTE));
if (BB_STORAGE) contestants.push(new BbStorageContestant(BB_STORAGE));
if (NATIVELINK) contestants.push(new NativeLinkContestant(NATIVELINK));
await compare({ contestants, settings, aimOf: ({ unit }) => AIMS[unit] });
