import { TimeSlice } from './time-slice.ts';

/**
 * The results of all items, in order, of which `task` takes `sliceItems` at once. Others get their turn between slices: for
 * many small tasks that end together, such as reads from memory. A slice that fails fails the whole.
 */
export async function inSlices<T, R>(
  items: readonly T[],
  sliceItems: number,
  task: (slice: readonly T[]) => Promise<R[]>,
): Promise<R[]> {
  if (items.length <= sliceItems) return task(items);
  const slice = new TimeSlice();
  const results: R[] = [];
  for (let start = 0; start < items.length; start += sliceItems) {
    results.push(...(await task(items.slice(start, start + sliceItems))));
    await slice.pause();
  }
  return results;
}
