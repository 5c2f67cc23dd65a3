import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './log/logger.ts';

/** What every role's composition root is handed. */
export interface RoleHost {
  readonly logger: Logger;
  /** Where the role registers what it opens; closed in reverse order. */
  readonly lifecycle: Lifecycle;
}
