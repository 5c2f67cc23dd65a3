import { resourceExhausted } from '../error.ts';
import { retryInfo } from '../error-details.ts';

/** How long a client is asked to wait: calls give back what they hold within moments. */
const RETRY_MS = 250;

/** Bytes that all calls of a server may hold together; each call borrows through a {@link ByteLoan}. */
export class ByteBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held now. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Throws RESOURCE_EXHAUSTED, and takes nothing, when there is not so much left. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) {
      throw resourceExhausted(
        `Buffer a request: calls hold ${this.#bytes} bytes of messages, the limit is ${this.#bytesMax}`,
        { details: [retryInfo(RETRY_MS)] },
      );
    }
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** What one call has borrowed of a {@link ByteBudget}; closing it gives back all that is left. */
export class ByteLoan {
  readonly #budget: ByteBudget;
  #bytes = 0;
  #reserved = 0;
  #closed = false;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** Takes from what was reserved first. */
  take(bytes: number): void {
    if (this.#closed) return;
    const reserved = Math.min(bytes, this.#reserved);
    this.#budget.take(bytes - reserved);
    this.#reserved -= reserved;
    this.#bytes += bytes;
  }

  /** Borrows in advance what may still come, so that taking it cannot fail. */
  reserve(bytes: number): void {
    if (this.#closed) return;
    this.#budget.take(bytes);
    this.#reserved += bytes;
  }

  /** Gives back what is left of all that was reserved. */
  unreserve(): void {
    this.#budget.give(this.#reserved);
    this.#reserved = 0;
  }

  give(bytes: number): void {
    const given = Math.min(bytes, this.#bytes);
    this.#bytes -= given;
    this.#budget.give(given);
  }

  close(): void {
    this.unreserve();
    this.give(this.#bytes);
    this.#closed = true;
  }
}
