// @ts-check
/**
 * The rows this caller may read: as the server has them (`base`), with our unconfirmed writes laid over (`get`, `rows`).
 *
 * @typedef {Record<string, any> & {id: string}} Row
 * @typedef {"insert"|"update"|"delete"} Kind
 * @typedef {{seq: number, entity: string, row_id: string, kind: Kind, data?: Record<string, any>}} Change
 * @typedef {{order: string, op_id: string, entity: string, row_id: string, kind: Kind, data?: Record<string, any>,
 *   seq: number, sent: boolean, done: (written: {id: string, seq: number}) => void, fail: (error: Error) => void}} Write
 * @typedef {{entity: string, id: string, fields: string[], mine: Record<string, any>, theirs: Row|null, before: Row|null}} Conflict
 *   Somebody else changed the fields that an unconfirmed update of ours sets; `theirs` is null when they deleted the row.
 * @typedef {Map<string, Map<string, Row>>} Tables
 */
import { tellAll } from "./listeners.js";
import { later, nothing } from "./waiting.js";

export class Replica {
  /** @type {Tables} */ base = new Map();
  /** What our writes make of a row, undefined where they delete it. @type {Map<string, Map<string, Row|undefined>>} */ overlay = new Map();
  /** Unconfirmed writes by row, oldest first. @type {Map<string, Write[]>} */ writes = new Map();
  /** Confirmed writes whose event has not come yet. @type {Set<Write>} */ confirmed = new Set();
  /** The base holds every change up to this seq and none after it. */ cursor = 0;
  needsSnapshot = true;
  /** Called with the row that changed, null for all of them. @type {Set<(changed: {entity: string, id: string}|null) => void>} */ listeners = new Set();
  /** Who waits for the cursor to reach a seq. @type {Map<() => void, number>} */ waiting = new Map();
  /** Called for each row of the base that changed. @type {(entity: string, id: string) => void} */ placed = nothing;
  /** Called when the base was exchanged as a whole. */ replaced = nothing;
  /** @type {(conflict: Conflict, write: Write) => void} */ collided = nothing;

  /** @param {string} entity @param {string} id @returns {Row|undefined} */
  get(entity, id) {
    const over = this.overlay.get(entity);
    return over?.has(id) ? over.get(id) : this.base.get(entity)?.get(id);
  }

  /** @param {string} entity @returns {Iterable<Row>} */
  *rows(entity) {
    const over = this.overlay.get(entity);
    const base = this.base.get(entity) ?? new Map();
    if (!over?.size) return yield* base.values();
    for (const [id, row] of base) if (!over.has(id)) yield row;
    for (const row of over.values()) if (row) yield row;
  }

  /** Takes one event of the server. Events at or below the cursor are known already. @param {Change} change */
  apply(change) {
    if (change.seq <= this.cursor) return;
    const { entity, row_id: id } = change;
    const table = tableOf(this.base, entity);
    const before = table.get(id);
    place(table, change);
    this.placed(entity, id);
    if (before && this.writes.size) this.compare(entity, id, before, table.get(id) ?? null);
    this.advance(change.seq);
    this.refresh(entity, id);
  }

  /** Tells of what somebody else changed under our hands. A value that one of our own writes set is no surprise.
   * @param {string} entity @param {string} id @param {Row} before @param {Row|null} theirs */
  compare(entity, id, before, theirs) {
    const writes = this.writes.get(keyOf(entity, id)) ?? [];
    if (writes.some(({ kind }) => kind === "delete")) return;
    for (const write of writes) {
      if (write.kind !== "update" || write.seq !== Infinity) continue;
      const mine = write.data ?? {};
      const fields = Object.keys(mine).filter(
        (name) => !theirs || (!same(theirs[name], before[name]) && !writes.some(({ data }) => data && name in data && same(data[name], theirs[name]))),
      );
      if (fields.length) this.collided({ entity, id, fields, mine, theirs, before }, write);
    }
  }

  /** Moves the cursor; writes confirmed at or below it are part of the base now. @param {number} cursor */
  advance(cursor) {
    this.cursor = Math.max(this.cursor, cursor);
    for (const write of this.confirmed) if (write.seq <= this.cursor) this.forget(write);
    for (const [go, seq] of this.waiting) if (seq <= this.cursor) go();
  }

  /** Resolves when the cursor has reached `seq`, or after `ms`. @param {number} seq @param {number} ms @returns {Promise<void>} */
  reached(seq, ms) {
    return new Promise((resolve) => {
      const go = () => (this.waiting.delete(go), resolve());
      this.waiting.set(go, seq);
      later(go, ms);
      this.advance(this.cursor);
    });
  }

  /** Puts a whole snapshot in the place of the base. @param {Tables} base @param {number} cursor */
  replace(base, cursor) {
    this.base = base;
    this.cursor = cursor;
    this.needsSnapshot = false;
    this.rebuild();
    this.advance(cursor);
    this.replaced();
  }

  /** Exchanges some entities for others, each as of the cursor or later; the log from there on makes them whole.
   * @param {Iterable<string>} gone @param {Tables} come */
  exchange(gone, come) {
    for (const entity of gone) this.base.delete(entity);
    for (const [entity, rows] of come) this.base.set(entity, rows);
    this.rebuild();
    this.replaced();
  }

  /** The log went on without us (410): keep showing what we have until a new snapshot stands. */
  outdate() {
    this.needsSnapshot = true;
    for (const write of [...this.confirmed]) this.forget(write); // their seq may belong to another log
  }

  /** Somebody else asks now: nothing of the former caller's rows may stay visible. */
  clear() {
    this.outdate();
    this.base = new Map();
    this.cursor = 0;
    this.rebuild();
    this.replaced();
  }

  /** Shows a write at once. @param {Write} write */
  add(write) {
    const key = keyOf(write.entity, write.row_id);
    const all = [...(this.writes.get(key) ?? []), write];
    this.writes.set(key, all.sort((a, b) => (a.order < b.order ? -1 : 1)));
    this.refresh(write.entity, write.row_id);
  }

  /** The server has stored it as `seq`: it stays on top until that event is in the base. @param {Write} write @param {number} seq */
  confirm(write, seq) {
    write.seq = seq;
    if (seq <= this.cursor) this.forget(write);
    else this.confirmed.add(write);
  }

  /** Takes a write back out (refused), or away (its event arrived). @param {Write} write */
  forget(write) {
    const key = keyOf(write.entity, write.row_id);
    const left = (this.writes.get(key) ?? []).filter((other) => other !== write);
    if (left.length) this.writes.set(key, left);
    else this.writes.delete(key);
    this.confirmed.delete(write);
    this.refresh(write.entity, write.row_id);
  }

  /** Server first, our unconfirmed writes on top. @param {string} entity @param {string} id */
  refresh(entity, id) {
    const writes = this.writes.get(keyOf(entity, id));
    if (writes) {
      let row = this.base.get(entity)?.get(id);
      for (const write of writes) {
        if (write.kind === "delete") row = undefined;
        else if (write.kind === "update") row = row && { ...row, ...write.data, id };
        else row ??= { ...write.data, id };
      }
      tableOf(this.overlay, entity).set(id, row);
    } else this.overlay.get(entity)?.delete(id);
    tellAll(this.listeners, { entity, id });
  }

  rebuild() {
    this.overlay.clear();
    for (const [write] of this.writes.values()) this.refresh(write.entity, write.row_id);
    tellAll(this.listeners, null);
  }
}

/** @param {string} entity @param {string} id */
const keyOf = (entity, id) => `${entity}\n${id}`;

/** @param {any} a @param {any} b */
const same = (a, b) => (a ?? null) === (b ?? null) || (typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b));

/** @template T @param {Map<string, Map<string, T>>} tables @param {string} entity */
export function tableOf(tables, entity) {
  let table = tables.get(entity);
  if (!table) tables.set(entity, (table = new Map()));
  return table;
}

/** @param {Map<string, Row>} table @param {Change} change */
export function place(table, { kind, row_id: id, data }) {
  if (kind === "delete") table.delete(id);
  else if (data) table.set(id, kind === "update" ? { ...table.get(id), ...data, id } : { ...data, id });
}
