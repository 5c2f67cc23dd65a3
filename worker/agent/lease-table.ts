import { type Offer, OfferReply_Outcome as Outcome, type Resources } from '../../proto/gen/ingot/v1/bus.ts';

/** Ended leases remembered, so that a late repeat of their offer starts nothing. */
const ENDED_MAX = 10_000;

/** A lease this worker holds. */
export interface Lease {
  readonly operationName: string;
  readonly epoch: number;
  /** Which of the worker's slots it runs in. */
  readonly slot: number;
  readonly reserved: Resources;
}

/** The answer to an offer, and the lease when it is a new one. */
export interface OfferDecision {
  readonly outcome: Outcome;
  /** For people, when not accepted. */
  readonly message: string;
  readonly lease?: Lease;
}

/**
 * Which leases a worker holds and what they leave of it. A plain state machine: it starts nothing and sends nothing.
 * A lease is held from the offer until its commit is answered.
 */
export class LeaseTable {
  readonly #capacity: Resources;
  readonly #held = new Map<string, Lease>();
  /** Newest epoch that ended here, by operation; oldest first. */
  readonly #ended = new Map<string, number>();

  constructor(capacity: Resources) {
    this.#capacity = capacity;
  }

  get leases(): readonly Lease[] {
    return [...this.#held.values()];
  }

  find(operationName: string, epoch: number): Lease | undefined {
    const lease = this.#held.get(operationName);
    return lease?.epoch === epoch ? lease : undefined;
  }

  /** Takes the lease when there is room. The same offer again is accepted again and has no lease in its decision. */
  decide({ operationName, epoch, reserved }: Offer): OfferDecision {
    const held = this.#held.get(operationName);
    if (held?.epoch === epoch) return { outcome: Outcome.ACCEPTED, message: '' };
    if (held !== undefined) {
      return refusal(Outcome.ALREADY_LEASED, `epoch ${held.epoch} of the operation runs here`);
    }
    const ended = this.#ended.get(operationName);
    if (ended !== undefined && ended >= epoch) {
      return refusal(Outcome.ALREADY_LEASED, `epoch ${ended} of the operation has ended here`);
    }
    if (reserved === undefined || reserved.slots < 1) {
      return refusal(Outcome.REFUSED, 'the offer reserves nothing');
    }
    const slot = this.#freeSlot();
    const shortage = slot === undefined ? 'every slot is taken' : this.#shortageOf(reserved);
    if (slot === undefined || shortage !== undefined) return refusal(Outcome.NO_ROOM, shortage ?? '');
    const lease = { operationName, epoch, slot, reserved };
    this.#held.set(operationName, lease);
    return { outcome: Outcome.ACCEPTED, message: '', lease };
  }

  end({ operationName, epoch }: Lease): void {
    if (this.#held.get(operationName)?.epoch === epoch) this.#held.delete(operationName);
    this.#ended.delete(operationName);
    this.#ended.set(operationName, epoch);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > ENDED_MAX && oldest !== undefined) this.#ended.delete(oldest);
  }

  #freeSlot(): number | undefined {
    const taken = new Set(this.leases.map(({ slot }) => slot));
    for (let slot = 0; slot < this.#capacity.slots; slot += 1) if (!taken.has(slot)) return slot;
    return undefined;
  }

  #shortageOf(wanted: Resources): string | undefined {
    const taken = this.leases.map(({ reserved }) => reserved);
    const free = (amount: (resources: Resources) => number): number =>
      amount(this.#capacity) - taken.reduce((sum, resources) => sum + amount(resources), 0);
    for (const [what, amount] of AMOUNTS) {
      const left = free(amount);
      if (amount(wanted) > left) return `${amount(wanted)} ${what} are reserved and ${left} are free`;
    }
    const leased = new Set(taken.flatMap(({ gpus }) => gpus.map(({ id }) => id)));
    for (const { id } of wanted.gpus) {
      if (!this.#capacity.gpus.some((gpu) => gpu.id === id)) return `there is no GPU ${id}`;
      if (leased.has(id)) return `GPU ${id} is leased`;
    }
    return undefined;
  }
}

const AMOUNTS: readonly (readonly [string, (resources: Resources) => number])[] = [
  ['slots', ({ slots }) => slots],
  ['thousandths of a core', ({ cpuMillis }) => cpuMillis],
  ['bytes of memory', ({ memoryBytes }) => memoryBytes],
];

function refusal(outcome: Outcome, message: string): OfferDecision {
  return { outcome, message };
}
