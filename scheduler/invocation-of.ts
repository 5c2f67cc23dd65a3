import type { RequestMetadata } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** Under whose name the cache keeps an operation's inputs: the client's build, or the operation when none was named. */
export function invocationOf(operationName: string, requestMetadata: RequestMetadata | undefined): string {
  return requestMetadata?.toolInvocationId || operationName;
}
