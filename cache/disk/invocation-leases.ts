/** Invocations told apart; those beyond share one lease, which lasts as long as the last of them. */
const INVOCATIONS_MAX = 64;
/** Key of the lease that is shared. Not a name that a client can have. */
const OTHERS = Symbol('others');

/** What {@link InvocationLeases} depend on. */
export interface InvocationLeasesDependencies {
  /** How long an invocation is live after its last call. */
  readonly ttlMs: number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/** The blobs one live invocation holds: a bit for each id of the index. */
export class InvocationLease {
  #bits = new Uint32Array(0);
  liveUntilMs = 0;

  add(id: number): void {
    const word = id >>> 5;
    if (word >= this.#bits.length) {
      const larger = new Uint32Array(Math.max(256, (word + 1) * 2));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    this.#bits[word] = (this.#bits[word] as number) | (1 << (id & 31));
  }

  has(id: number): boolean {
    return ((this.#bits[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
  }

  delete(id: number): void {
    const word = id >>> 5;
    if (word < this.#bits.length) this.#bits[word] = (this.#bits[word] as number) & ~(1 << (id & 31));
  }
}

/**
 * Which blobs are held by builds under way. An invocation holds what it has found, read or written until it has not
 * called for the TTL; any call of it renews all it holds. Held blobs are not evicted.
 */
export class InvocationLeases {
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #leases = new Map<string | symbol, InvocationLease>();

  constructor({ ttlMs, now = () => performance.now() }: InvocationLeasesDependencies) {
    this.#ttlMs = ttlMs;
    this.#now = now;
  }

  /** Live invocations; those that share a lease count as one. */
  get size(): number {
    this.#dropExpired();
    return this.#leases.size;
  }

  /** The invocation's lease, renewed; undefined for calls that name none. */
  of(invocationId: string | undefined): InvocationLease | undefined {
    if (invocationId === undefined || invocationId === '') return undefined;
    const lease = this.#leases.get(invocationId) ?? this.#begin(invocationId);
    lease.liveUntilMs = this.#now() + this.#ttlMs;
    return lease;
  }

  /** Whether a live invocation holds the blob. */
  isHeld(id: number): boolean {
    const now = this.#now();
    for (const lease of this.#leases.values()) if (lease.liveUntilMs >= now && lease.has(id)) return true;
    return false;
  }

  /** The id is no longer this blob's. */
  forget(id: number): void {
    for (const lease of this.#leases.values()) lease.delete(id);
  }

  #begin(invocationId: string): InvocationLease {
    this.#dropExpired();
    const key = this.#leases.size < INVOCATIONS_MAX ? invocationId : OTHERS;
    const lease = this.#leases.get(key) ?? new InvocationLease();
    this.#leases.set(key, lease);
    return lease;
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const [key, lease] of this.#leases) if (lease.liveUntilMs < now) this.#leases.delete(key);
  }
}
