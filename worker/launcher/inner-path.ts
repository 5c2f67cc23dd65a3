import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/**
 * INVALID_ARGUMENT unless the path leads from a folder downwards. The agent has checked paths by all of REAPI's
 * rules; this is the launcher's own guard, for it has rights the agent may not have.
 */
export function checkInnerPath(path: string, what: string): void {
  const inner =
    !path.includes('\0') &&
    path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
  if (!inner) throw invalidArgument(`${what} ${quote(path)} does not lead downwards`);
}
