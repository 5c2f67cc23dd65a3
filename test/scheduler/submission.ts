import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Submission } from '../../scheduler/state/scheduler-event.ts';

/** An action to run, of which only the operation's name matters. */
export function submission(name: string): Submission {
  return {
    name,
    instanceName: '',
    digestFunction: DigestFunction_Value.SHA256,
    actionDigest: { hash: `of ${name}`, sizeBytes: 1 },
    doNotCache: false,
    skipCacheLookup: false,
    priority: 0,
    properties: [],
    request: { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [] },
    timeout: undefined,
    requestMetadata: undefined,
    lookedUpAtMs: 0,
  };
}
