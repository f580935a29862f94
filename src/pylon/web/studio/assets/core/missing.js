// @ts-check
// A server that has no such route, or was not told how to do it, says so on the page instead of in an error.

import { ApiError, complain } from "./api.js";
import { fill, h } from "./dom.js";

/**
 * What the action gives; undefined when it failed: then a toast says why, or the page that this server has no such thing.
 * @template T @param {Element} root @param {string} what @param {() => Promise<T>} action @returns {Promise<T|undefined>}
 */
export async function orMissing(root, what, action) {
  try {
    return await action();
  } catch (error) {
    const told = error instanceof ApiError && (error.status === 404 ? `${what} not available on this server.` : error.code.endsWith("_NOT_CONFIGURED") && `${error.message} ${error.hint}`);
    if (told) {
      fill(root, h("p.empty", { data: { testid: "not-available" } }, told));
    } else {
      complain(error);
    }
    return undefined;
  }
}
