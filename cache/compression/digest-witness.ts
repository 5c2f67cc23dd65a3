import { Digest, DigestHasher } from '../../core/digest.ts';
import { WholeBytes } from '../../core/streams.ts';

/** Sees for itself whether a stream that it follows is a blob, whole; a store that has the blob already may not look. */
export class DigestWitness {
  readonly #digest: Digest;
  #isMatch = false;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  /** The stream has been read to its end, and its bytes are the digest's. */
  get isMatch(): boolean {
    return this.#isMatch;
  }

  /** The same stream. */
  follow(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    if (!(source instanceof WholeBytes)) return this.#following(source);
    this.#isMatch = Digest.ofBytes(source.bytes, this.#digest.digestFunction).equals(this.#digest);
    return source;
  }

  async *#following(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const hasher = new DigestHasher(this.#digest.digestFunction);
    for await (const chunk of source) {
      hasher.update(chunk);
      yield chunk;
    }
    this.#isMatch = hasher.digest().equals(this.#digest);
  }
}
