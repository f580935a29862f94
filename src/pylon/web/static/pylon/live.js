// @ts-check
/** One filtered, sorted view of the rows of an entity. After a change only the rows that changed are looked at again. */
import { filterOf, orderOf } from "./filters.js";
import { tellAll } from "./listeners.js";

/**
 * The rows of one entity that match, sorted, always current. Made by `db.live()`.
 * @template {Record<string, any>} [T=import("./replica.js").Row]
 */
export class Live {
  /** Every row that matches, sorted. @type {any[]} */
  #all = [];
  /** The first of them, up to the limit. @type {T[]} */
  #rows = [];
  /** Ids to look at again; null for all there are. @type {Set<string>|null} */
  #stale = null;
  #timer = null;
  /** Each with what it was told last. @type {Set<{fn: (rows: T[]) => void, rows: T[], loading: boolean}>} */
  #listeners = new Set();
  #replica;
  #entity;
  #matches;
  #order;
  #limit;
  #onChange;

  /** @param {import("./replica.js").Replica} replica @param {string} entity @param {import("./filters.js").LiveOptions} options */
  constructor(replica, entity, { where, order, limit = Infinity }) {
    this.#replica = replica;
    this.#entity = entity;
    this.#matches = filterOf(where);
    this.#order = orderOf(order);
    this.#limit = limit;
    this.#onChange = (/** @type {{entity: string, id: string}|null} */ changed) => {
      if (changed && changed.entity !== entity) return;
      if (!changed || typeof where === "function") this.#stale = null; // a function may know of the time, or of other rows
      else this.#stale?.add(changed.id);
      this.#timer ??= /** @type {any} */ (setTimeout(() => this.#tell(), 0)); // one call for a burst of changes
    };
    replica.listeners.add(this.#onChange);
  }

  /** The rows now; the same array until one of them changes. Do not modify it. @returns {T[]} */
  get rows() {
    if (this.#stale?.size === 0) return this.#rows;
    if (!this.#stale) this.#all = [...this.#replica.rows(this.#entity)].filter(this.#matches).sort(this.#order);
    else this.#lookAgain(this.#stale);
    this.#stale = new Set();
    const rows = this.#limit < this.#all.length ? this.#all.slice(0, this.#limit) : this.#all;
    const isSame = rows.length === this.#rows.length && rows.every((row, i) => row === this.#rows[i]);
    if (!isSame) this.#rows = rows;
    return this.#rows;
  }

  /** @param {Set<string>} ids */
  #lookAgain(ids) {
    const come = [];
    for (const id of ids) {
      const row = this.#replica.get(this.#entity, id);
      if (row && this.#matches(row)) come.push(row);
    }
    come.sort(this.#order);
    const all = [];
    let next = 0;
    for (const row of this.#all) {
      if (ids.has(row.id)) continue;
      while (next < come.length && this.#order(come[next], row) < 0) all.push(come[next++]);
      all.push(row);
    }
    while (next < come.length) all.push(come[next++]);
    this.#all = all;
  }

  /** True until the first rows have come from the server: tells "empty" from "not there yet". */
  get loading() {
    return this.#replica.needsSnapshot && this.#replica.cursor === 0;
  }

  /** Resolves with the rows once the first have come from the server. @returns {Promise<T[]>} */
  get ready() {
    return new Promise((resolve) => {
      const stop = this.subscribe((rows) => {
        if (this.loading) return;
        queueMicrotask(() => stop());
        resolve(rows);
      });
    });
  }

  /** Calls `fn` with the rows at once and after each change. @param {(rows: T[]) => void} fn @returns {() => void} stop */
  subscribe(fn) {
    const { rows, loading } = this;
    const listener = { fn, rows, loading };
    this.#listeners.add(listener);
    fn(rows);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops following. */
  close() {
    this.#replica.listeners.delete(this.#onChange);
    this.#listeners.clear();
  }

  #tell() {
    this.#timer = null;
    const { rows, loading } = this;
    const news = [...this.#listeners].filter((told) => told.rows !== rows || told.loading !== loading);
    for (const told of news) Object.assign(told, { rows, loading });
    tellAll(
      news.map(({ fn }) => fn),
      rows,
    );
  }
}
