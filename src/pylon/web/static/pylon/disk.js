// @ts-check
/**
 * What survives the page: one user's rows with their cursor, unconfirmed writes, and edited documents, in IndexedDB.
 *
 * Rows lie in segments of a thousand, as JSON: a hundred thousand of them load in a fraction of the time that as many
 * records take. What changed since lies beside them, a record a row; when that has grown, the segments are written anew.
 * Changed rows and the cursor are written in one transaction, so the disk is at every moment a state that was true. One
 * tab writes rows, the one that leads; every tab adds its own writes and edits.
 *
 * @typedef {import("./replica.js").Replica} Replica
 * @typedef {import("./queue.js").Note} Note
 * @typedef {{cursor: number|null, scope: string, generation: number, owner: string}} Mark  A cursor of null: no rows.
 */
import { committed, deleteDatabase, openDatabase, resultOf } from "./indexed.js";
import { tableOf } from "./replica.js";
import { later, nothing, sleep } from "./waiting.js";

const VERSION = 1;
const SEGMENT_ROWS = 1_000;
const FLUSH_MS = 300; //        changed rows wait so long for others
const REWRITE_ROWS = 5_000; //  changed rows from which on, and more than a fifth of all, segments are written anew
const RELAXED = /** @type {IDBTransactionOptions} */ ({ durability: "relaxed" });

export class Disk {
  /** Rows to write, as `entity\nid`. @type {Set<string>} */ dirty = new Set();
  /** Rows that lie beside the segments. @type {Set<string>} */ beside = new Set();
  generation = 0;
  /** The tab that writes rows is this one. */ isOwner = false;
  /** Counts rewrites: one that is overtaken gives up. */ rewrites = 0;
  hasMoved = false;
  rewriting = false;
  /** @type {any} */ timer = null;
  isClosed = false;

  /** @param {IDBDatabase} database @param {string} tab @param {(error: any) => void} trouble */
  constructor(database, tab, trouble) {
    this.database = database;
    this.tab = tab;
    this.trouble = (/** @type {any} */ error) => this.isClosed || trouble(error);
    /** Resolves when nothing more is written. @type {Promise<void>} */
    this.closed = new Promise((resolve) => (this.end = resolve));
    database.onversionchange = () => this.close(); // another tab signs out, or is newer
  }

  /** Throws where there is none, as in some private windows. @param {string} name @param {string} tab @param {(error: any) => void} trouble */
  static async open(name, tab, trouble) {
    const database = await openDatabase(name, VERSION, (fresh) => {
      for (const store of ["marks", "segments", "changes", "writes", "documents"]) fresh.createObjectStore(store);
    });
    return new Disk(database, tab, trouble);
  }

  /** Takes the rows of whoever used this browser before off the disk, unless a tab shows them; what they have not sent
   * yet stays until they are back. @param {string} all the names of what belongs to this app begin so @param {string} own */
  static async forgetOthers(all, own) {
    for (const { name = "" } of (await indexedDB.databases?.()) ?? []) {
      if (!name.startsWith(all) || name === own) continue;
      await navigator.locks.request(`rows of ${name}`, { ifAvailable: true }, async (lock) => {
        if (!lock) return;
        const disk = await Disk.open(name, "", nothing);
        const isEmpty = await disk.forgetRows().finally(() => disk.close());
        if (isEmpty) await deleteDatabase(name);
      });
    }
  }

  /** Resolves with whether nothing is left. */
  async forgetRows() {
    const { stores, done } = this.begin(["marks", "segments", "changes", "writes", "documents"]);
    const [marks, segments, changes, writes, documents] = stores;
    for (const store of [marks, segments, changes]) store.clear();
    const left = writes.count();
    const cursor = documents.openCursor();
    let edited = 0;
    cursor.onsuccess = () => {
      const at = cursor.result;
      if (!at) return;
      if (at.value.unsent) edited += 1;
      else at.delete();
      at.continue();
    };
    await done;
    return left.result + edited === 0;
  }

  /** @param {string[]} stores @param {IDBTransactionMode} [mode] */
  begin(stores, mode = "readwrite") {
    const transaction = this.database.transaction(stores, mode, RELAXED);
    return { transaction, stores: stores.map((name) => transaction.objectStore(name)), done: committed(transaction) };
  }

  // ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The rows of this scope and their cursor, null if there are none. @param {string} scope */
  async load(scope) {
    const { stores, done } = this.begin(["marks", "segments", "changes"], "readonly");
    done.catch(nothing);
    const mark = /** @type {Mark|undefined} */ (await resultOf(stores[0].get("rows")));
    this.generation = mark?.generation ?? 0;
    if (!mark || mark.cursor === null || mark.scope !== scope) return null;
    const range = IDBKeyRange.bound([mark.generation], [mark.generation, []]);
    const [segments, keys, changes] = await Promise.all([resultOf(stores[1].getAll(range)), resultOf(stores[2].getAllKeys()), resultOf(stores[2].getAll())]);
    /** @type {import("./replica.js").Tables} */
    const base = new Map();
    for (const { entity, rows } of segments) {
      const table = tableOf(base, entity);
      for (const row of JSON.parse(rows)) table.set(row.id, row);
    }
    keys.forEach((key, i) => {
      const [entity, id] = String(key).split("\n");
      if (changes[i]) tableOf(base, entity).set(id, changes[i]);
      else base.get(entity)?.delete(id);
    });
    this.beside = new Set(/** @type {string[]} */ (keys));
    return { base, cursor: mark.cursor };
  }

  /** Writes this replica's rows from now on. What another tab has written after we loaded is written anew. @param {Replica} replica @param {() => string} scope */
  async own(replica, scope) {
    this.replica = replica;
    this.scope = scope;
    const { stores, done } = this.begin(["marks"]);
    const mark = /** @type {Mark|undefined} */ (await resultOf(stores[0].get("rows")));
    stores[0].put({ ...(mark ?? { cursor: null, scope: "", generation: 0 }), owner: this.tab }, "rows");
    await done;
    this.isOwner = true;
    this.generation = mark?.generation ?? 0;
    if (!replica.needsSnapshot && (mark?.cursor !== replica.cursor || mark?.scope !== scope())) this.rewrite();
    else if (this.dirty.size) this.soon();
  }

  /** A row of the base changed. @param {string} entity @param {string} id */
  note(entity, id) {
    if (this.isClosed || !this.replica) return;
    this.dirty.add(`${entity}\n${id}`);
    this.soon();
  }

  /** The cursor moved, though no row did. */
  noteCursor() {
    if (this.isClosed || !this.replica) return;
    this.hasMoved = true;
    this.soon();
  }

  soon() {
    this.timer ??= later(() => this.flush(), FLUSH_MS);
  }

  /** Writes the rows that changed, with the cursor, as one. */
  async flush() {
    clearTimeout(this.timer);
    this.timer = null;
    const replica = this.replica;
    if (!replica || !this.isOwner || this.isClosed || this.rewriting || !(this.dirty.size || this.hasMoved)) return;
    const keys = [...this.dirty];
    const rows = keys.map((key) => rowOf(replica, key));
    const cursor = replica.cursor;
    this.hasMoved = false;
    this.dirty.clear();
    try {
      const { transaction, stores, done } = this.begin(["marks", "changes"]);
      const mark = stores[0].get("rows");
      mark.onsuccess = () => {
        if (mark.result?.owner !== this.tab) {
          this.isOwner = false; // another tab leads now
          return transaction.abort();
        }
        if (mark.result.cursor === null) return; // no segments, so nothing to lay changes over
        keys.forEach((key, i) => stores[1].put(rows[i], key));
        stores[0].put({ ...mark.result, cursor }, "rows");
      };
      await done;
      for (const key of keys) this.beside.add(key);
      const total = [...replica.base.values()].reduce((sum, table) => sum + table.size, 0);
      if (this.beside.size > Math.max(REWRITE_ROWS, total / 5)) this.rewrite();
    } catch (error) {
      if (this.isOwner) this.trouble(error);
    }
  }

  /** Writes all rows anew, in small parts; until the last is written, the former ones count. */
  async rewrite() {
    const replica = this.replica;
    if (!replica || !this.isOwner || this.isClosed) return;
    const turn = (this.rewrites += 1);
    const generation = Math.max(Date.now(), this.generation + 1);
    this.rewriting = true;
    this.dirty.clear();
    try {
      let n = 0;
      for (const [entity, table] of replica.base) {
        for (let part = [], rows = table.values(); ; part = []) {
          for (let next = rows.next(); !next.done; next = rows.next()) if (part.push(next.value) === SEGMENT_ROWS) break;
          if (!part.length) break;
          const { stores, done } = this.begin(["segments"]);
          stores[0].put({ entity, rows: JSON.stringify(part) }, [generation, (n += 1)]);
          await done;
          await sleep(0); // the page comes first
          if (turn !== this.rewrites || this.isClosed) return;
        }
      }
      const keys = [...this.dirty];
      this.dirty.clear();
      const { transaction, stores, done } = this.begin(["marks", "segments", "changes"]);
      const mark = stores[0].get("rows");
      const now = { cursor: replica.needsSnapshot ? null : replica.cursor, scope: this.scope?.() ?? "", generation, owner: this.tab };
      const rows = keys.map((key) => rowOf(replica, key));
      mark.onsuccess = () => {
        if (mark.result?.owner !== this.tab) return transaction.abort();
        stores[0].put(now, "rows");
        stores[1].delete(IDBKeyRange.upperBound([generation], true));
        stores[1].delete(IDBKeyRange.lowerBound([generation, []], true));
        stores[2].clear();
        keys.forEach((key, i) => stores[2].put(rows[i], key));
      };
      await done;
      this.generation = generation;
      this.beside = new Set(keys);
    } catch (error) {
      if (turn === this.rewrites) this.trouble(error);
    } finally {
      if (turn === this.rewrites) {
        this.rewriting = false;
        if (this.dirty.size) this.soon();
      }
    }
  }

  // ── Writes and documents ───────────────────────────────────────────────────────────────────────────────────────

  /** Unconfirmed writes, oldest first. @returns {Promise<Note[]>} */
  async writes() {
    const { stores, done } = this.begin(["writes"], "readonly");
    done.catch(nothing);
    return resultOf(stores[0].getAll());
  }

  /** @param {"writes"|"documents"} store @param {string} key @param {any} value undefined takes it away */
  put(store, key, value) {
    if (this.isClosed) return;
    try {
      const { transaction, stores, done } = this.begin([store]);
      if (value === undefined) stores[0].delete(key);
      else stores[0].put(value, key);
      transaction.commit(); // even if the page goes before it hears of it
      done.catch(this.trouble);
    } catch (error) {
      this.trouble(error);
    }
  }

  /** @param {string} key @returns {Promise<any>} */
  async document(key) {
    const { stores, done } = this.begin(["documents"], "readonly");
    done.catch(nothing);
    return resultOf(stores[0].get(key));
  }

  /** Every kept document by its key. @returns {Promise<[string, any][]>} */
  async documents() {
    const { stores, done } = this.begin(["documents"], "readonly");
    done.catch(nothing);
    const [keys, values] = await Promise.all([resultOf(stores[0].getAllKeys()), resultOf(stores[0].getAll())]);
    return keys.map((key, i) => [String(key), values[i]]);
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.database.close();
    this.end();
  }

  /** Takes everything off the disk. */
  async destroy() {
    this.close();
    await deleteDatabase(this.database.name);
  }
}

/** @param {Replica} replica @param {string} key */
function rowOf(replica, key) {
  const [entity, id] = key.split("\n");
  return replica.base.get(entity)?.get(id) ?? null;
}
