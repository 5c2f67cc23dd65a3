import { digestFunctions } from '../core/digest.ts';
import {
  DigestFunction_Value,
  type ExecutionCapabilities,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { PRIORITY_MAX, PRIORITY_MIN } from './admission/priority-range.ts';

/** What this scheduler announces in GetCapabilities. */
export function executionCapabilities(): ExecutionCapabilities {
  return {
    digestFunction: DigestFunction_Value.SHA256,
    execEnabled: true,
    executionPriorityCapabilities: {
      priorities: [{ minPriority: PRIORITY_MIN, maxPriority: PRIORITY_MAX }],
    },
    supportedNodeProperties: ['mtime', 'unix_mode'],
    digestFunctions: [...digestFunctions],
  };
}
