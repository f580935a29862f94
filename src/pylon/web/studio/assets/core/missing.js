// @ts-check
// A server that has no such route yet, or no more, says so on the page instead of in an error.

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
    if (error instanceof ApiError && error.status === 404) {
      fill(root, h("section.card", { data: { testid: "not-available" } }, h("p.empty", null, `${what} not available on this server.`)));
    } else {
      complain(error);
    }
    return undefined;
  }
}
