// @ts-check
/**
 * Which rows a view shows, and in which order.
 * @typedef {import("./replica.js").Row} Row
 * @typedef {{where?: Record<string, any> | ((row: Row) => boolean), order?: string | string[], limit?: number}} LiveOptions
 */

/** @param {LiveOptions["where"]} where @returns {(row: Row) => boolean} */
export function filterOf(where) {
  if (typeof where === "function") return /** @type {(row: Row) => boolean} */ (where);
  const pairs = Object.entries(where ?? {});
  return (row) => pairs.every(([name, want]) => (Array.isArray(want) ? want.includes(row[name]) : (row[name] ?? null) === (want ?? null)));
}

/** `["-a", "b"]` sorts by a descending, then b, then id. A field that an unconfirmed insert lacks counts as newest.
 * @param {string | string[]} [order] @returns {(a: Row, b: Row) => number} */
export function orderOf(order = []) {
  const keys = [order, "id"].flat().map((name) => (name.startsWith("-") ? { name: name.slice(1), sign: -1 } : { name, sign: 1 }));
  return (a, b) => {
    for (const { name, sign } of keys) {
      const by = compare(a[name], b[name]);
      if (by) return by * sign;
    }
    return 0;
  };
}

/** null is smallest, undefined largest. @param {any} a @param {any} b */
function compare(a, b) {
  if (a === b) return 0;
  if (a === undefined || b === null) return 1;
  if (b === undefined || a === null) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}
