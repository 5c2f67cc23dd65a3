import { invalidArgument } from '../core/error.ts';
import { quote } from '../core/quote.ts';
import type { OperationState } from './state/operation-state.ts';

/** Reads one condition of a filter; undefined for a value that no operation can have. */
type Condition = (value: string) => ((operation: OperationState) => boolean) | undefined;

const CONDITIONS: ReadonlyMap<string, Condition> = new Map<string, Condition>([
  ['stage', byStage],
  ['worker', (value) => (operation) => operation.newestLease?.workerId === value],
  [
    'invocation',
    (value) =>
      ({ record }) =>
        record.requestMetadata?.toolInvocationId === value,
  ],
]);

/**
 * Reads the filter of ListOperations: `stage=queued|executing|completed`, `worker=ID` and `invocation=ID`, with spaces
 * between, all of which must hold. Empty matches everything; INVALID_ARGUMENT for anything else.
 */
export function parseOperationFilter(filter: string): (operation: OperationState) => boolean {
  const conditions = filter
    .split(' ')
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', value = ''] = part.split('=', 2);
      const condition = CONDITIONS.get(name)?.(value);
      if (condition === undefined) {
        throw invalidArgument(
          `filter ${quote(part)} is not understood, expected stage=queued|executing|completed, worker=ID or invocation=ID`,
        );
      }
      return condition;
    });
  return (operation) => conditions.every((holds) => holds(operation));
}

function byStage(value: string): ((operation: OperationState) => boolean) | undefined {
  switch (value) {
    case 'queued':
      return ({ phase }) => phase === 'queued' || phase === 'offered';
    case 'executing':
      return ({ phase }) => phase === 'executing' || phase === 'committing';
    case 'completed':
      return ({ phase }) => phase === 'completed';
    default:
      return undefined;
  }
}
