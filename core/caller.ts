/** What a caller may do; none includes another. */
export type Right =
  /** Find and read blobs and action results. */
  | 'read'
  /** Upload blobs. */
  | 'write'
  /** Execute actions, and wait for, cancel and list operations. */
  | 'execute'
  /** File action results of its own (UpdateActionResult, PUT /ac). */
  | 'publish'
  /** Act as a worker: file results of actions leased to it. */
  | 'work';

/** All of them, in the order in which they are listed. */
export const rights: readonly Right[] = ['read', 'write', 'execute', 'publish', 'work'];

/** Who makes a call, as far as a credential proves it. */
export interface Caller {
  /** For logs: the token's or certificate's name, never the secret itself. */
  readonly name: string;
  readonly rights: ReadonlySet<Right>;
  /** Instance names it may use; undefined means any. */
  readonly instanceNames?: ReadonlySet<string> | undefined;
}

/** What a credential is given for; each a set of rights. */
export const callerRoles = {
  /** Looks at what is there. */
  reader: ['read'],
  /** Builds on the farm; its results are those the farm computed. */
  writer: ['read', 'write', 'execute'],
  /** Builds on its own machine and files the results: whoever reads them trusts it. */
  publisher: ['read', 'write', 'execute', 'publish'],
  /** A worker, towards the cache. It files no results: that is the scheduler's part, after it has checked the lease. */
  worker: ['read', 'write', 'work'],
  /** The scheduler, towards the cache. */
  scheduler: ['read', 'write', 'publish'],
} as const satisfies Readonly<Record<string, readonly Right[]>>;

/** One of {@link callerRoles}. */
export type CallerRole = keyof typeof callerRoles;

/** All of them, in the order in which they are listed. */
export const callerRoleNames = Object.keys(callerRoles) as readonly CallerRole[];

/** Whose credential has not been looked at, where none is needed: may do nothing. */
export const nobody: Caller = { name: 'nobody', rights: new Set() };

/** The caller of a server that asks for no credentials: may do everything. */
export const anonymous: Caller = { name: 'anonymous', rights: new Set(rights) };
