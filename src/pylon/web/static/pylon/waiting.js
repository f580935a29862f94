// @ts-check
/** How long to wait, and timers that stop nobody from leaving. */

/** Full jitter, as AWS calls it: anything from nothing up to the doubled step, at most 30 s. @param {number} attempt */
export const backoff = (attempt) => Math.random() * Math.min(30_000, 1_000 * 2 ** (attempt - 1));

/** Never sooner than the server asked, and spread behind it: those it sent away together must not return together. @param {number} seconds */
export const asked = (seconds) => seconds && seconds * 1_000 + Math.random() * Math.max(1_000, seconds * 500);

export const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const nothing = () => {};

/** `setTimeout` that never keeps a Node process alive. @param {() => void} run @param {number} ms */
export function later(run, ms) {
  const timer = /** @type {any} */ (setTimeout(run, ms));
  timer.unref?.();
  return timer;
}
