import type { IoOptions } from '../../core/io-options.ts';
import type {
  CollectOutputs,
  InputEntry,
  OutputEntry,
  RunCommand,
  RunEnded,
} from '../../proto/gen/ingot/v1/launcher.ts';

/** Where a lease's files are and as whom its command runs. */
export interface SandboxPlace {
  /** Unique while this process lives; part of file names. */
  readonly leaseKey: string;
  readonly slot: number;
}

/**
 * Runs commands apart from the machine. UNAVAILABLE and INTERNAL say that the worker is at fault and another may do
 * better; any other code is the action's own doing.
 */
export interface Sandbox {
  /** Puts entries into the lease's input root, parents before children; may be called again with more. */
  addInputs(place: SandboxPlace, entries: readonly InputEntry[], options?: IoOptions): Promise<void>;
  /** Runs the command. An abort of the signal ends it early, and it still resolves, with CANCELLED. */
  run(command: RunCommand, options?: IoOptions): Promise<RunEnded>;
  /** What the command left at the paths, in order; nothing of the lease runs any more by then. */
  collect(request: CollectOutputs, options?: IoOptions): Promise<OutputEntry[]>;
  /** Deletes what the lease has on disk. */
  remove(leaseKey: string): Promise<void>;
}

/** Where the input root lies in the sandbox unless the action asks for another place. */
export const INPUT_ROOT_PATH = '/ingot/work';
/** The user and group that commands see themselves as. */
export const SANDBOX_USER_ID = 1000;
/** The host name that commands see. */
export const SANDBOX_HOST_NAME = 'ingot';
