/** The flags of `ingot run` as commander leaves them. */
export interface RunOptions {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly platform?: readonly string[];
  readonly env?: readonly string[];
  readonly timeout?: string;
  /** False with `--no-cache-lookup`. */
  readonly cacheLookup: boolean;
  readonly doNotCache?: boolean;
}
