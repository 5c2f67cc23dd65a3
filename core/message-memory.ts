/** Shorter pieces are not used again: they come out of Node's own pool, or cost less than keeping them in order. */
export const REUSED_BYTES_MIN = 8 * 1024;
/** Longer ones are rare, and left to the garbage collector. */
const REUSED_BYTES_MAX = 4 * 1024 * 1024 + 64 * 1024;
/** Memory that lies ready, over all sizes. */
const FREE_BYTES_MAX = 64 * 1024 * 1024;
/** Sizes in use between a power of two and the next, so that at most a ninth of a piece is unused. */
const STEPS = 8;

/**
 * Memory for what comes off the network, used again once its last reader has given it back. What is never given back is
 * collected as any other: giving back is worth it for what comes by the megabyte, of which the collector would
 * otherwise run ten times a second. Whoever gives back must be the only one left who knows of the bytes.
 */
export class MessageMemory {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #lent = new WeakSet<ArrayBufferLike>();
  #freeBytes = 0;

  /** Bytes that lie ready. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** So many bytes, of whatever content. */
  take(bytes: number): Buffer {
    if (bytes < REUSED_BYTES_MIN) return Buffer.allocUnsafe(bytes);
    if (bytes > REUSED_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes);
    const wholeBytes = sizeFor(bytes);
    const memory = this.#takeFree(wholeBytes) ?? Buffer.allocUnsafeSlow(wholeBytes).buffer;
    this.#lent.add(memory);
    return Buffer.from(memory, 0, bytes);
  }

  /** Takes back what `take` gave, named by any part of it. Anything else, and what was given back before, is left alone. */
  giveBack({ buffer }: Uint8Array): void {
    if (!this.#lent.delete(buffer)) return;
    const { byteLength } = buffer;
    while (this.#freeBytes + byteLength > FREE_BYTES_MAX) if (!this.#dropOther(byteLength)) return;
    this.#freeBytes += byteLength;
    const free = this.#free.get(byteLength);
    if (free === undefined) this.#free.set(byteLength, [buffer as ArrayBuffer]);
    else free.push(buffer as ArrayBuffer);
  }

  /** Lets go of a piece of another size, of which most lies ready: what was asked for before may never be again. */
  #dropOther(wholeBytes: number): boolean {
    let most: ArrayBuffer[] = [];
    for (const [size, free] of this.#free) {
      if (size !== wholeBytes && size * free.length > bytesOf(most)) most = free;
    }
    const dropped = most.pop();
    this.#freeBytes -= dropped?.byteLength ?? 0;
    return dropped !== undefined;
  }

  #takeFree(wholeBytes: number): ArrayBuffer | undefined {
    const memory = this.#free.get(wholeBytes)?.pop();
    if (memory !== undefined) this.#freeBytes -= wholeBytes;
    return memory;
  }
}

/** Of the process: what is taken in one place is given back in another that knows nothing of it. */
export const messageMemory = new MessageMemory();

function bytesOf(free: readonly ArrayBuffer[]): number {
  return (free[0]?.byteLength ?? 0) * free.length;
}

function sizeFor(bytes: number): number {
  const step = 2 ** Math.floor(Math.log2(bytes)) / STEPS;
  return Math.ceil(bytes / step) * step;
}
