/** Longest time `setTimeout` can wait; it takes a longer one for 1 ms. */
const SET_TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Calls `fire` once after `ms`, however long that is; the function returned cancels it. */
export function startTimer(ms: number, fire: () => void): () => void {
  let remainingMs = ms;
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const stepMs = Math.min(remainingMs, SET_TIMEOUT_MS_MAX);
    remainingMs -= stepMs;
    timer = setTimeout(remainingMs > 0 ? arm : fire, stepMs);
  };
  arm();
  return () => clearTimeout(timer);
}
