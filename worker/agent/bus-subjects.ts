/** Subjects of the message bus as `proto/ingot/v1/bus.proto` lists them, below a farm's prefix. */
export interface BusSubjects {
  readonly heartbeat: string;
  readonly offer: string;
  readonly cancel: string;
  readonly progress: string;
  readonly commit: string;
}

/** The subjects one worker uses. */
export function busSubjects(prefix: string, workerId: string): BusSubjects {
  return {
    heartbeat: `${prefix}.worker.heartbeat`,
    offer: `${prefix}.worker.${workerId}.offer`,
    cancel: `${prefix}.worker.${workerId}.cancel`,
    progress: `${prefix}.scheduler.progress`,
    commit: `${prefix}.scheduler.commit`,
  };
}
