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

/** The caller of a server that asks for no credentials: may do everything. */
export const anonymous: Caller = { name: 'anonymous', rights: new Set(rights) };
