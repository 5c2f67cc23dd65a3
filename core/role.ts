import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './log/logger.ts';
import type { MetricRegistry } from './metrics/metric-registry.ts';

/** What every role's composition root is handed. */
export interface RoleHost {
  readonly logger: Logger;
  /** Where the role registers what it opens; closed in reverse order. */
  readonly lifecycle: Lifecycle;
  /** Where the role registers what it counts. Default: one that nobody reads. */
  readonly metrics?: MetricRegistry;
}
