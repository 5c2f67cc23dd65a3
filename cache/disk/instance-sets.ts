/** Instances with a bit of their own; a store has few, and those are the first ones it met. */
const BITS = 31;
/** Set in the mask when a blob is also in instances that have no bit. */
const SPILLED = 1 << BITS;

/** For each entry of an index the numbers of the instances its blob is in. */
export class InstanceSets {
  #masks: Uint32Array;
  readonly #spilled = new Map<number, Set<number>>();

  constructor(capacity: number) {
    this.#masks = new Uint32Array(capacity);
  }

  has(id: number, instance: number): boolean {
    const mask = this.#masks[id] as number;
    if (instance < BITS) return (mask & (1 << instance)) !== 0;
    return (mask & SPILLED) !== 0 && (this.#spilled.get(id)?.has(instance) ?? false);
  }

  add(id: number, instance: number): void {
    if (instance < BITS) {
      this.#masks[id] = (this.#masks[id] as number) | (1 << instance);
      return;
    }
    this.#masks[id] = (this.#masks[id] as number) | SPILLED;
    const spilled = this.#spilled.get(id);
    if (spilled === undefined) this.#spilled.set(id, new Set([instance]));
    else spilled.add(instance);
  }

  /** The numbers, lowest first as far as they have bits. */
  of(id: number): number[] {
    const mask = this.#masks[id] as number;
    const instances: number[] = [];
    for (let instance = 0; instance < BITS; instance++) {
      if ((mask & (1 << instance)) !== 0) instances.push(instance);
    }
    return (mask & SPILLED) === 0 ? instances : [...instances, ...(this.#spilled.get(id) ?? [])];
  }

  isEmpty(id: number): boolean {
    return this.#masks[id] === 0;
  }

  /** The blob is in none. */
  clear(id: number): void {
    if (((this.#masks[id] as number) & SPILLED) !== 0) this.#spilled.delete(id);
    this.#masks[id] = 0;
  }

  /** Makes room for more entries. */
  grow(capacity: number): void {
    const masks = new Uint32Array(capacity);
    masks.set(this.#masks);
    this.#masks = masks;
  }
}
