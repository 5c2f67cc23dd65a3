/** What the services count since the start, for people. */
export interface SchedulerCounters {
  actionCacheHits: number;
  /** Requests answered by a run under way, found before it was looked into. */
  joined: number;
}
