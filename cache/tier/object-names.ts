import { hash } from 'node:crypto';
import type { Digest } from '../../core/digest.ts';
import {
  type DigestFunction_Value,
  digestFunction_ValueToJSON,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** Longest instance name that is spelled out: with it a segment stays a file name where objects are files. */
const SPELLED_CHARACTERS_MAX = 200;

/**
 * How objects are named, below the prefix: `{instance}/cas/{function}/{hash}` for blobs and `…/ac/…` for action
 * results. The hash alone names a blob, as in the store on disk: HTTP clients know no sizes, and an object has its own.
 * The empty instance name is `@`; of others, what is no letter, digit, dash or dot becomes `=` and two hex digits a byte.
 */
export class ObjectNames {
  readonly #prefix: string;

  /** `prefix` is empty, or ends in a slash. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  blob(instanceName: string, { digestFunction, hash: digits }: BlobName): string {
    return `${this.#prefix}${instanceSegment(instanceName)}/cas/${nameOf(digestFunction)}/${digits}`;
  }

  result(instanceName: string, { digestFunction, hash: digits }: BlobName): string {
    return `${this.#prefix}${instanceSegment(instanceName)}/ac/${nameOf(digestFunction)}/${digits}`;
  }
}

/** The part of a digest that names an object. */
export type BlobName = Pick<Digest, 'hash' | 'digestFunction'>;

function nameOf(digestFunction: DigestFunction_Value): string {
  return digestFunction_ValueToJSON(digestFunction).toLowerCase();
}

function instanceSegment(instanceName: string): string {
  if (instanceName === '') return '@';
  const spelled = instanceName
    .replace(/[^A-Za-z0-9.-]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
    )
    // A segment of dots leads elsewhere where objects are files.
    .replace(/^\./, '=2e');
  return spelled.length <= SPELLED_CHARACTERS_MAX ? spelled : `=h${hash('sha256', instanceName, 'hex')}`;
}
