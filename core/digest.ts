import { createHash, hash as hashAtOnce } from 'node:crypto';
import {
  DigestFunction_Value,
  type Digest as DigestMessage,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Blake3Hasher } from './blake3.ts';
import { invalidArgument, unimplemented } from './error.ts';
import {
  type HashWords,
  hexOfWords,
  parseHexBytes,
  parseHexText,
  sameWords,
  WORD_DIGITS,
  writeHexBytes,
} from './hash-words.ts';
import { PackedDigest } from './packed-digest.ts';

/** Counts bytes into a hash as they pass. */
interface Hasher {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

/** What is known of a digest function we can compute: REAPI value, name, hex length. */
interface FunctionFacts {
  readonly value: DigestFunction_Value;
  readonly name: string;
  readonly hexLength: number;
  /** The hash of no bytes. */
  readonly emptyHash: string;
  /** Its first word, by which all other hashes are told apart from it at no cost. */
  readonly emptyWord: number | undefined;
  readonly hasher: () => Hasher;
  readonly hashOf: (bytes: Uint8Array) => string;
}

const factsOf = (
  value: DigestFunction_Value,
  name: string,
  hasher: () => Hasher = () => createHash(name),
  hashOf: (bytes: Uint8Array) => string = (bytes) => hashAtOnce(name, bytes, 'hex'),
): FunctionFacts => {
  const emptyHash = hashOf(new Uint8Array());
  const emptyWord = parseHexText(emptyHash)?.[0];
  return { value, name, hexLength: emptyHash.length, emptyHash, emptyWord, hasher, hashOf };
};

/** Of several with hashes of one length, the first is the one meant where none is named. */
const FUNCTIONS: readonly FunctionFacts[] = [
  factsOf(DigestFunction_Value.SHA256, 'sha256'),
  factsOf(
    DigestFunction_Value.BLAKE3,
    'blake3',
    () => new Blake3Hasher(),
    (bytes) => new Blake3Hasher().update(bytes).digest('hex'),
  ),
  factsOf(DigestFunction_Value.SHA1, 'sha1'),
  factsOf(DigestFunction_Value.SHA384, 'sha384'),
  factsOf(DigestFunction_Value.SHA512, 'sha512'),
  factsOf(DigestFunction_Value.MD5, 'md5'),
];

const BY_VALUE: readonly (FunctionFacts | undefined)[] = FUNCTIONS.reduce<(FunctionFacts | undefined)[]>(
  (table, facts) => {
    table[facts.value] = facts;
    return table;
  },
  [],
);

/** The facts of an announced function; UNIMPLEMENTED for any other. */
function supported(digestFunction: DigestFunction_Value): FunctionFacts {
  const facts = BY_VALUE[digestFunction];
  if (facts === undefined) {
    const expected = FUNCTIONS.map(({ name }) => name).join(', ');
    throw unimplemented(`digest function ${digestFunction} is not supported, expected one of ${expected}`);
  }
  return facts;
}

/** The function REAPI says is meant where none is named: the one with hashes of this length. */
function byLength(hexLength: number): FunctionFacts {
  const facts = FUNCTIONS.find((known) => known.hexLength === hexLength);
  if (facts === undefined) {
    const unnamed = FUNCTIONS.filter((known) => known.value !== DigestFunction_Value.BLAKE3);
    const expected = unnamed.map((known) => `${known.hexLength} (${known.name})`).join(' or ');
    throw invalidArgument(`digest hash has ${hexLength} characters, expected ${expected}`);
  }
  return facts;
}

/** The function that is meant by a hash of this many digits, for which `digestFunction` was said. */
function functionOf(hexLength: number, digestFunction: DigestFunction_Value): FunctionFacts {
  if (digestFunction === DigestFunction_Value.UNKNOWN) return byLength(hexLength);
  const facts = supported(digestFunction);
  if (hexLength === facts.hexLength) return facts;
  throw invalidArgument(
    `digest hash has ${hexLength} characters, expected ${facts.hexLength} for ${facts.name}`,
  );
}

/** The digest functions this build can compute, in the order announced. */
export const digestFunctions: readonly DigestFunction_Value[] = FUNCTIONS.map(({ value }) => value);

/** Lower-case name of an announced function, as folders and messages have it. */
export function digestFunctionName(digestFunction: DigestFunction_Value): string {
  return supported(digestFunction).name;
}

/**
 * The name of a blob: digest function, hash and size in bytes. Parsed once, at the edge; one that exists is
 * well formed. Compare with {@link Digest.equals}, or with {@link Digest.key} in maps.
 */
export class Digest {
  readonly digestFunction: DigestFunction_Value;
  readonly sizeBytes: number;
  /** The hash's first 32 bytes (0 behind the end of a shorter one), for indexes that hold no strings. */
  readonly words: HashWords;
  /** Hex digits behind those; '' for hashes of up to 32 bytes. */
  readonly tail: string;
  #hash: string | undefined;

  private constructor(facts: FunctionFacts, words: HashWords, tail: string, sizeBytes: number) {
    this.digestFunction = facts.value;
    this.sizeBytes = sizeBytes;
    this.words = words;
    this.tail = tail;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw invalidArgument(`digest size is ${sizeBytes} bytes, expected 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    if ((sizeBytes === 0) !== (words[0] === facts.emptyWord && this.hash === facts.emptyHash)) {
      throw invalidArgument(
        `digest ${this.hash}/${sizeBytes} is impossible: only the empty blob has size 0 and its hash`,
      );
    }
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
    const facts = functionOf(hash.length, digestFunction);
    const words = parseHexText(hash);
    if (words === undefined) throw notHex();
    const digest = new Digest(facts, words, hash.slice(WORD_DIGITS), sizeBytes);
    digest.#hash = hash;
    return digest;
  }

  /** As {@link Digest.of}, from the hash's digits as they stand on the wire. */
  static ofHex(hex: Uint8Array, sizeBytes: number, digestFunction: DigestFunction_Value): Digest {
    const facts = functionOf(hex.length, digestFunction);
    const words = parseHexBytes(hex, 0, hex.length);
    if (words === undefined) throw notHex();
    const tail = hex.length > WORD_DIGITS ? Buffer.from(hex.subarray(WORD_DIGITS)).toString('latin1') : '';
    return new Digest(facts, words, tail, sizeBytes);
  }

  /** From the parts that an index or a record keeps of a digest. */
  static ofWords(
    { words, tail }: Pick<Digest, 'words' | 'tail'>,
    sizeBytes: number,
    digestFunction: DigestFunction_Value,
  ): Digest {
    return new Digest(supported(digestFunction), words, tail, sizeBytes);
  }

  /** From the wire; a missing message is INVALID_ARGUMENT. */
  static fromMessage(
    message: DigestMessage | undefined,
    digestFunction: DigestFunction_Value = DigestFunction_Value.UNKNOWN,
  ): Digest {
    if (message === undefined) throw invalidArgument('digest is missing');
    if (message instanceof PackedDigest) {
      return new Digest(functionOf(WORD_DIGITS, digestFunction), message.words, '', message.sizeBytes);
    }
    return Digest.of(message.hash, message.sizeBytes, digestFunction);
  }

  /** Digest of bytes held in memory. */
  static ofBytes(
    bytes: Uint8Array,
    digestFunction: DigestFunction_Value = DigestFunction_Value.SHA256,
  ): Digest {
    return Digest.of(supported(digestFunction).hashOf(bytes), bytes.byteLength, digestFunction);
  }

  /** Lower-case hex. */
  get hash(): string {
    if (this.#hash === undefined) {
      const digits = hexOfWords(this.words);
      const { hashLength } = this;
      this.#hash = hashLength < WORD_DIGITS ? digits.slice(0, hashLength) : digits + this.tail;
    }
    return this.#hash;
  }

  /** Digits of the hash. */
  get hashLength(): number {
    return supported(this.digestFunction).hexLength;
  }

  /** Writes the hash's digits to `target` at `start`, where there is room for `hashLength`. */
  writeHash(target: DataView, start: number): void {
    writeHexBytes(this.words, Math.min(this.hashLength, WORD_DIGITS), target, start);
    for (let index = 0; index < this.tail.length; index++) {
      target.setUint8(start + WORD_DIGITS + index, this.tail.charCodeAt(index));
    }
  }

  /** True for the empty blob, which every store has. */
  get isEmpty(): boolean {
    return this.sizeBytes === 0;
  }

  /** Equal for equal digests; for maps and sets. */
  get key(): string {
    return `${this.digestFunction}-${this.hash}-${this.sizeBytes}`;
  }

  /** The same function, hash and size. */
  equals(other: Digest): boolean {
    return (
      this.sizeBytes === other.sizeBytes &&
      this.digestFunction === other.digestFunction &&
      sameWords(this.words, other.words) &&
      this.tail === other.tail
    );
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
  readonly #hasher: Hasher;
  #sizeBytes = 0;

  constructor(digestFunction: DigestFunction_Value) {
    this.#digestFunction = digestFunction;
    this.#hasher = supported(digestFunction).hasher();
  }

  /** Bytes seen so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.byteLength;
    this.#hasher.update(bytes);
  }

  /** Ends the count; call once. */
  digest(): Digest {
    return Digest.of(this.#hasher.digest('hex'), this.#sizeBytes, this.#digestFunction);
  }
}

function notHex() {
  return invalidArgument('digest hash is not lower-case hexadecimal');
}
