/** What the services count since the start, for people. */
export interface SchedulerCounters {
  actionCacheHits: number;
}
