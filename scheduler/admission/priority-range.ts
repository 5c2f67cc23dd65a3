/**
 * The range of `ExecutionPolicy.priority` that is accepted and announced. One step weighs as much as a second in the
 * queue, so that the ends are a quarter of an hour before and behind the rest: urgent, but nobody waits for ever.
 */
export const PRIORITY_MIN = -1000;
/** See {@link PRIORITY_MIN}. */
export const PRIORITY_MAX = 1000;
