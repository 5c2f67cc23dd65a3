import { isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { FarmConnection } from '../client/farm-connection.ts';

const PAGE_OPERATIONS = 200;
/** Most operations a table shows; beyond it no person reads. */
const OPERATIONS_MAX = 2_000;

/** Operations the farm knows, up to a limit; undefined from a server that lists none. */
export async function listOperations(
  farm: FarmConnection,
  options: IoOptions = {},
): Promise<Operation[] | undefined> {
  const operations: Operation[] = [];
  let pageToken = '';
  try {
    do {
      const page = await farm.operations.listOperations(
        {
          name: farm.address.instanceName,
          filter: '',
          pageSize: PAGE_OPERATIONS,
          pageToken,
          returnPartialSuccess: false,
        },
        options,
      );
      operations.push(...page.operations);
      pageToken = page.nextPageToken;
    } while (pageToken !== '' && operations.length < OPERATIONS_MAX);
  } catch (error) {
    if (isIngotError(error, Code.UNIMPLEMENTED)) return undefined;
    throw error;
  }
  return operations;
}
