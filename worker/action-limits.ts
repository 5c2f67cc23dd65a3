/** What any one action may take and leave on this worker; `worker/config.ts` has the defaults and their reasons. */
export interface ActionLimits {
  /** Of an action that sets no timeout, and the most of one that does. */
  readonly timeoutMsMax: number;
  /** Between SIGTERM and SIGKILL. */
  readonly killGraceMs: number;
  /** Processes and threads. */
  readonly pidsMax: number;
  /** Of stdout and of stderr. */
  readonly streamBytesMax: number;
  /** Of /tmp and of /dev/shm, each; part of the memory limit. */
  readonly tmpBytesMax: number;
  /** Of all outputs together, and of any one file the command writes. */
  readonly outputBytesMax: number;
  readonly outputEntriesMax: number;
  readonly outputDepthMax: number;
}
