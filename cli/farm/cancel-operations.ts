import { FarmConnection } from '../client/farm-connection.ts';
import type { CommandContext } from '../command-context.ts';
import { findOperationName } from './operation-name.ts';

/** `ingot cancel`: asks for each operation to be stopped, or says that it has ended. The first unknown one ends it. */
export async function cancelOperations(context: CommandContext, names: readonly string[]): Promise<void> {
  const { printer, signal } = context;
  await using farm = new FarmConnection(context.farm, context);
  await farm.status({ signal });
  for (const text of names) {
    const name = await findOperationName(farm, text, { signal });
    const { done } = await farm.operations.getOperation({ name }, { signal });
    if (done) {
      printer.line(`${name} has ended already`);
      printer.result({ operation: name, cancelRequested: false });
      continue;
    }
    await farm.operations.cancelOperation({ name }, { signal });
    printer.line(`asked to cancel ${name}`);
    printer.result({ operation: name, cancelRequested: true });
  }
}
