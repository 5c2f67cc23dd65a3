import { createBLAKE3 } from 'hash-wasm';

/** One engine for all hashers: making another costs a compilation, which a constructor cannot wait for. */
const engine = await createBLAKE3();
/** Whose state the engine holds now; the others have theirs saved. */
let current: Blake3Hasher | undefined;

/** BLAKE3 of bytes as they pass, with the face of Node's hashes. Several may be under way at once. */
export class Blake3Hasher {
  #saved: Uint8Array | undefined;

  update(bytes: Uint8Array): this {
    this.#enterCurrent();
    engine.update(bytes);
    return this;
  }

  /** Lower-case hex; call once. */
  digest(_encoding: 'hex'): string {
    this.#enterCurrent();
    current = undefined;
    return engine.digest('hex');
  }

  #enterCurrent(): void {
    if (current === this) return;
    if (current !== undefined) current.#saved = engine.save();
    if (this.#saved === undefined) engine.init();
    else engine.load(this.#saved);
    current = this;
  }
}
