import type { Right } from '../caller.ts';
import type { ServiceDefinition } from '../rpc/rpc-service.ts';

/** Rights of which a caller needs one; none in it means that any caller with a good credential will do. */
export type RightsRule = readonly Right[];

/** What calling each method of a service takes; `public` is for everyone, with credentials or without. */
export type MethodRights<D extends ServiceDefinition> = {
  readonly [K in keyof D['methods']]: RightsRule | 'public';
};
