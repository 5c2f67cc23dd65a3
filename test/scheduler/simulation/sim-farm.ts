import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import {
  type GpuDevice,
  type Resources,
  type WorkerProperty,
  WorkerProperty_Treatment,
} from '../../../proto/gen/ingot/v1/bus.ts';
import { DEFAULT_SCHEDULER_LIMITS, type SchedulerLimits } from '../../../scheduler/state/scheduler-limits.ts';
import { SimBus } from './sim-bus.ts';
import { type SimAction, SimClient } from './sim-client.ts';
import { SimClock } from './sim-clock.ts';
import { SimRandom } from './sim-random.ts';
import { SimScheduler } from './sim-scheduler.ts';
import { SimTruth } from './sim-truth.ts';
import { SimWorker } from './sim-worker.ts';

/** Shorter times than in life, so that a run is short; their order of size is the same. */
const LIMITS: SchedulerLimits = {
  ...DEFAULT_SCHEDULER_LIMITS,
  warmUpMs: 1_000,
  workerlessMs: 20_000,
  silenceMs: 25_000,
  readoptMs: 6_000,
  waiterlessQueuedMs: 8_000,
  waiterlessExecutingMs: 15_000,
  completedKeptMs: 20_000,
  reserveAfterMs: 3_000,
  actionTimeoutMaxMs: 20_000,
  leaseOverheadMs: 1_000_000,
};

/** Faults happen until then; after it the farm has `CALM_MS` to end everything. */
const FAULTY_MS = 40_000;
const CALM_MS = 200_000;

/** What a run amounted to. */
export interface SimReport {
  readonly ends: readonly string[];
  readonly counts: SimTruth['counts'];
}

/** One seeded run of a small farm under faults. Throws when a rule is broken. */
export function simulate(seed: number): SimReport {
  return new SimFarm(seed).run();
}

class SimFarm {
  readonly #random: SimRandom;
  readonly #clock = new SimClock();
  readonly #bus: SimBus;
  readonly #truth = new SimTruth();
  readonly #workers = new Map<string, SimWorker>();
  readonly #scheduler: SimScheduler;
  readonly #clients: SimClient[] = [];
  #names = 0;

  constructor(seed: number) {
    const random = new SimRandom(seed);
    const clock = this.#clock;
    this.#random = random;
    this.#bus = new SimBus(clock, random);
    const shared = { clock, random, bus: this.#bus, truth: this.#truth };
    this.#scheduler = new SimScheduler({ ...shared, limits: LIMITS, workers: this.#workers });
    for (let index = 0; index < random.whole(1, 3); index += 1) {
      const id = `w${index}`;
      const parts = { ...shared, ...inventory(random), id, scheduler: () => this.#scheduler };
      this.#workers.set(id, new SimWorker(parts));
    }
    this.#scheduler.onView = (view) => {
      for (const client of this.#clients) client.onView(view);
    };
    this.#scheduler.onCrash = () => {
      for (const client of this.#clients) client.onCrash();
      clock.after(random.between(10, 6_000), () => {
        if (this.#scheduler.state === undefined) this.#scheduler.start();
      });
    };
  }

  run(): SimReport {
    this.#setFaults();
    for (const worker of this.#workers.values()) {
      this.#clock.after(this.#random.between(0, 3_000), () => worker.start());
    }
    this.#scheduler.start();
    for (let index = 0; index < this.#random.whole(3, 9); index += 1) this.#addClient();
    this.#planFaults();
    this.#clock.runUntil(FAULTY_MS);
    this.#calmDown();
    this.#checkEnded();
    this.#clock.runUntil(this.#clock.nowMs + LIMITS.completedKeptMs + LIMITS.waiterlessExecutingMs + 40_000);
    this.#checkEmpty();
    return { ends: this.#clients.map(({ end }) => end ?? ''), counts: this.#truth.counts };
  }

  #addClient(): void {
    const random = this.#random;
    const client = new SimClient(
      {
        clock: this.#clock,
        random,
        scheduler: this.#scheduler,
        truth: this.#truth,
        newName: () => {
          this.#names += 1;
          return `operations/op-${this.#names}`;
        },
      },
      randomAction(random),
    );
    this.#clients.push(client);
    const startMs = random.between(0, FAULTY_MS * 0.8);
    this.#clock.after(startMs, () => client.execute());
    const later = (run: () => void): void => this.#clock.after(startMs + random.between(10, 15_000), run);
    if (random.chance(0.2)) later(() => client.leave());
    if (random.chance(0.2)) later(() => client.comeBack());
    if (random.chance(0.1)) later(() => client.cancel());
    if (random.chance(0.1)) later(() => client.giveUp());
  }

  #setFaults(): void {
    const random = this.#random;
    // Some runs are almost quiet: many bugs hide where only one thing goes wrong.
    const harshness = random.pick([0, 0.3, 1]);
    const upTo = (most: number): number => random.next() * most * harshness;
    Object.assign(this.#bus.faults, {
      drop: upTo(0.3),
      duplicate: upTo(0.3),
      late: upTo(0.4),
      lateMs: random.pick([50, 1_000, 6_000]),
    });
    this.#scheduler.commitFaults = { retry: upTo(0.3), refuse: upTo(0.15) };
    for (const worker of this.#workers.values()) worker.faults = { poison: upTo(0.25), handback: upTo(0.25) };
  }

  #planFaults(): void {
    const random = this.#random;
    const workers = [...this.#workers.values()];
    const some = (times: number, run: () => void): void => {
      for (let time = random.whole(0, times); time > 0; time -= 1) {
        this.#clock.after(random.between(0, FAULTY_MS), run);
      }
    };
    some(2, () => (random.chance(0.3) ? this.#scheduler.crash() : this.#scheduler.crashAtNextWrite()));
    some(3, () => {
      const worker = random.pick(workers);
      worker.crash();
      this.#clock.after(random.between(100, 10_000), () => worker.start());
    });
    some(1, () => random.pick(workers).freeze(random.between(500, 15_000)));
    some(1, () => random.pick(workers).drain());
    some(1, () => {
      this.#bus.faults.away = true;
      this.#clock.after(random.between(500, 15_000), () => {
        this.#bus.faults.away = false;
      });
    });
    some(1, () => this.#scheduler.stall(random.between(500, 8_000)));
    some(2, () => {
      this.#scheduler.wallSkewMs = random.pick([-3.6e6, 3.6e6, 3e11]);
    });
  }

  #calmDown(): void {
    Object.assign(this.#bus.faults, { drop: 0, duplicate: 0, late: 0, away: false });
    this.#scheduler.commitFaults = { retry: 0, refuse: 0 };
    if (this.#scheduler.state === undefined) this.#scheduler.start();
    for (const worker of this.#workers.values()) {
      worker.faults = { poison: 0, handback: 0 };
      worker.thaw();
      worker.start();
    }
  }

  #checkEnded(): void {
    const endMs = this.#clock.nowMs + CALM_MS;
    const open = (): number => this.#clients.filter(({ end }) => end === undefined).length;
    while (open() > 0) {
      if (this.#clock.nowMs > endMs)
        throw new Error(`${open()} clients have no answer after ${CALM_MS} ms of calm`);
      this.#clock.runUntil(this.#clock.nowMs + 1_000);
      // Those that left come back to see.
      for (const client of this.#clients) client.comeBack();
    }
  }

  /** Everything is given back and forgotten. */
  #checkEmpty(): void {
    const state = this.#scheduler.state!;
    const left = {
      operations: state.operations.size,
      queued: state.queuedCount,
      queues: state.queues.size,
      inFlight: state.inFlight.size,
      finished: state.finished.size,
      offered: state.offered.size,
      waiterless: state.waiterless.size,
      completed: state.completed.size,
      completedBytes: state.completedBytes,
      journal: this.#scheduler.durableNames.length,
      leases: [...state.workers.values()].reduce((sum, { leases }) => sum + leases.size, 0),
      slotsInUse: [...state.workers.values()].reduce((sum, { inUse }) => sum + inUse.slots, 0),
      heldByWorkers: [...this.#workers.values()].reduce((sum, { heldCount }) => sum + heldCount, 0),
    };
    if (Object.values(left).some((count) => count !== 0)) {
      throw new Error(`not everything was given back: ${JSON.stringify(left)}`);
    }
  }
}

function inventory(random: SimRandom): { capacity: Resources; properties: WorkerProperty[] } {
  const gpus: GpuDevice[] = Array.from({ length: random.pick([0, 0, 1, 2]) }, (_, index) => ({
    id: `gpu-${index}`,
    arch: random.pick(['sm_80', 'sm_86', 'sm_90']),
    memoryBytes: 2 ** 34,
    model: 'simulated',
    unhealthyReason: '',
  }));
  const slots = random.whole(1, 3);
  const treatment = WorkerProperty_Treatment.EXACT;
  return {
    capacity: { slots, cpuMillis: slots * 1000, memoryBytes: 2 ** 33, gpus },
    properties: [{ name: 'OSFamily', value: 'linux', treatment }],
  };
}

function randomAction(random: SimRandom): SimAction {
  const which = random.whole(0, 4);
  const gpus: GpuDevice[] =
    which === 3
      ? [
          {
            id: '',
            arch: random.pick(['', 'sm_80', 'sm_90']),
            memoryBytes: 0,
            model: '',
            unhealthyReason: '',
          },
        ]
      : [];
  return {
    instanceName: '',
    digestFunction: DigestFunction_Value.SHA256,
    actionDigest: { hash: `action-${which}`, sizeBytes: 100 },
    doNotCache: which === 4,
    skipCacheLookup: random.chance(0.2),
    priority: random.pick([0, 0, 0, -20, 20]),
    properties: [{ name: 'OSFamily', value: random.chance(0.05) ? 'windows' : 'linux' }],
    request: { slots: 1, cpuMillis: which === 2 ? 1000 : 0, memoryBytes: 0, gpus },
    timeout: undefined,
    requestMetadata: undefined,
  };
}
