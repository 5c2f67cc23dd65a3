/** Subjects of the message bus as `proto/ingot/v1/bus.proto` lists them. */
export interface BusSubjects {
  readonly heartbeat: string;
  readonly offer: string;
  readonly cancel: string;
  readonly progress: string;
  readonly commit: string;
}

/** The subjects one worker uses. */
export function busSubjects(workerId: string): BusSubjects {
  return {
    heartbeat: 'worker.heartbeat',
    offer: `worker.${workerId}.offer`,
    cancel: `worker.${workerId}.cancel`,
    progress: 'scheduler.progress',
    commit: 'scheduler.commit',
  };
}
