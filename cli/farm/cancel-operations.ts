import { FarmConnection } from '../client/farm-connection.ts';
import type { CommandContext } from '../command-context.ts';
import { operationName } from './operation-name.ts';

/** `ingot cancel`: asks for each operation to be stopped. The first that cannot be ends it. */
export async function cancelOperations(context: CommandContext, names: readonly string[]): Promise<void> {
  const { printer, signal } = context;
  await using farm = new FarmConnection(context.farm, context);
  await farm.status({ signal });
  for (const text of names) {
    const name = operationName(text, context.farm.instanceName);
    await farm.operations.cancelOperation({ name }, { signal });
    printer.line(`asked to cancel ${name}`);
    printer.result({ operation: name, cancelRequested: true });
  }
}
