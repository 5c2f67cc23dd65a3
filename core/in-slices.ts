import { TimeSlice } from './time-slice.ts';

/**
 * The results of `task` for every item, in order. A slice of `sliceItems` is started at once and awaited together, with
 * no machinery for each item: for many small tasks that end together, such as reads from memory. A task that
 * fails fails the whole, so give it one that does not.
 */
export async function inSlices<T, R>(
  items: readonly T[],
  sliceItems: number,
  task: (item: T) => Promise<R>,
): Promise<R[]> {
  if (items.length <= sliceItems) return Promise.all(items.map(task));
  const slice = new TimeSlice();
  const results: R[] = [];
  for (let start = 0; start < items.length; start += sliceItems) {
    results.push(...(await Promise.all(items.slice(start, start + sliceItems).map(task))));
    await slice.pause();
  }
  return results;
}
