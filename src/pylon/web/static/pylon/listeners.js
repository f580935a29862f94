// @ts-check
/** Telling others: one listener's mistake stops neither the others nor us. */

/** @template T @param {Iterable<(value: T) => void>} listeners @param {T} value */
export function tellAll(listeners, value) {
  for (const listener of [...listeners]) {
    try {
      listener(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error; // reported as any uncaught error
      });
    }
  }
}

/** Adds a listener. @template F @param {Set<F>} listeners @param {F} fn @returns {() => void} takes it away again */
export function listen(listeners, fn) {
  listeners.add(fn);
  return () => void listeners.delete(fn);
}
