import { createHash } from 'node:crypto';
import {
  DigestFunction_Value,
  type Digest as DigestMessage,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { invalidArgument, unimplemented } from './error.ts';

/** What is known of a digest function we can compute: REAPI value, resource name segment, Node's name, hex length. */
interface FunctionFacts {
  readonly value: DigestFunction_Value;
  readonly segment: string;
  readonly algorithm: string;
  readonly hexLength: number;
  /** The hash of no bytes. */
  readonly emptyHash: string;
}

const factsOf = (value: DigestFunction_Value, algorithm: string): FunctionFacts => {
  const emptyHash = createHash(algorithm).digest('hex');
  return { value, segment: algorithm, algorithm, hexLength: emptyHash.length, emptyHash };
};

const FUNCTIONS: readonly FunctionFacts[] = [factsOf(DigestFunction_Value.SHA256, 'sha256')];

const BY_VALUE = new Map(FUNCTIONS.map((facts) => [facts.value, facts]));

/** The facts of an announced function; UNIMPLEMENTED for any other. */
function supported(digestFunction: DigestFunction_Value): FunctionFacts {
  const facts = BY_VALUE.get(digestFunction);
  if (facts === undefined) {
    const expected = FUNCTIONS.map(({ segment }) => segment).join(', ');
    throw unimplemented(`digest function ${digestFunction} is not supported, expected one of ${expected}`);
  }
  return facts;
}

/** The function REAPI says is meant where none is named: the one with hashes of this length. */
function byLength(hash: string): FunctionFacts {
  const facts = FUNCTIONS.find(({ hexLength }) => hexLength === hash.length);
  if (facts === undefined) {
    const expected = FUNCTIONS.map((known) => `${known.hexLength} (${known.segment})`).join(' or ');
    throw invalidArgument(`digest hash has ${hash.length} characters, expected ${expected}`);
  }
  return facts;
}

/** The digest functions this build can compute, in the order announced. */
export const digestFunctions: readonly DigestFunction_Value[] = FUNCTIONS.map(({ value }) => value);

const LOWER_HEX = /^[0-9a-f]+$/;

/**
 * The name of a blob: digest function, hash and size in bytes. Parsed once, at the edge; one that exists is
 * well formed. Compare with {@link Digest.key}.
 */
export class Digest {
  /** Lower-case hex. */
  readonly hash: string;
  readonly sizeBytes: number;
  readonly digestFunction: DigestFunction_Value;

  private constructor(digestFunction: DigestFunction_Value, hash: string, sizeBytes: number) {
    this.digestFunction = digestFunction;
    this.hash = hash;
    this.sizeBytes = sizeBytes;
  }

  /**
   * From hash and size; INVALID_ARGUMENT names what is wrong, UNIMPLEMENTED a function we do not announce.
   * UNKNOWN as the function means what REAPI says: told from the hash's length.
   */
  static of(
    hash: string,
    sizeBytes: number,
    digestFunction: DigestFunction_Value = DigestFunction_Value.UNKNOWN,
  ): Digest {
    const facts =
      digestFunction === DigestFunction_Value.UNKNOWN ? byLength(hash) : supported(digestFunction);
    if (hash.length !== facts.hexLength) {
      throw invalidArgument(
        `digest hash has ${hash.length} characters, expected ${facts.hexLength} for ${facts.segment}`,
      );
    }
    if (!LOWER_HEX.test(hash)) throw invalidArgument('digest hash is not lower-case hexadecimal');
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw invalidArgument(`digest size is ${sizeBytes} bytes, expected 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    if ((sizeBytes === 0) !== (hash === facts.emptyHash)) {
      throw invalidArgument(
        `digest ${hash}/${sizeBytes} is impossible: only the empty blob has size 0 and its hash`,
      );
    }
    return new Digest(facts.value, hash, sizeBytes);
  }

  /** From the wire; a missing message is INVALID_ARGUMENT. */
  static fromMessage(
    message: DigestMessage | undefined,
    digestFunction: DigestFunction_Value = DigestFunction_Value.UNKNOWN,
  ): Digest {
    if (message === undefined) throw invalidArgument('digest is missing');
    return Digest.of(message.hash, message.sizeBytes, digestFunction);
  }

  /** Digest of bytes held in memory. */
  static ofBytes(
    bytes: Uint8Array,
    digestFunction: DigestFunction_Value = DigestFunction_Value.SHA256,
  ): Digest {
    const hasher = new DigestHasher(digestFunction);
    hasher.update(bytes);
    return hasher.digest();
  }

  /** True for the empty blob, which every store has. */
  get isEmpty(): boolean {
    return this.sizeBytes === 0;
  }

  /** Equal for equal digests; for maps and sets. */
  get key(): string {
    return `${this.digestFunction}-${this.hash}-${this.sizeBytes}`;
  }

  /** As the wire has it; the function travels beside it. */
  toMessage(): DigestMessage {
    return { hash: this.hash, sizeBytes: this.sizeBytes };
  }

  /** `hash/size`, as people and resource names write it. */
  toString(): string {
    return `${this.hash}/${this.sizeBytes}`;
  }
}

/** Counts and hashes bytes as they pass. */
export class DigestHasher {
  readonly #digestFunction: DigestFunction_Value;
  readonly #hash;
  #sizeBytes = 0;

  constructor(digestFunction: DigestFunction_Value) {
    this.#digestFunction = digestFunction;
    this.#hash = createHash(supported(digestFunction).algorithm);
  }

  /** Bytes seen so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.byteLength;
    this.#hash.update(bytes);
  }

  /** Ends the count; call once. */
  digest(): Digest {
    return Digest.of(this.#hash.digest('hex'), this.#sizeBytes, this.#digestFunction);
  }
}
