// @ts-check
/**
 * pylon.js: the browser's side of Pylon, one module without dependencies.
 *
 *   import { connect } from "/pylon.js";
 *   const db = connect();
 *   await db.guest();
 *   db.live("Todo", { where: { done: false }, order: "-created" }).subscribe(draw);
 *   await db.insert("Todo", { title: "milk" });
 *
 * How it fits together: `Replica` holds the server's rows and, on top of them, the writes that the server has not
 * confirmed yet; `Outbox` sends those writes in order; `Sync` keeps the replica current (pull by cursor, then a
 * socket); `Live` is one filtered, sorted view; `Database` is what `connect()` returns. Nothing is kept on disk.
 *
 * @typedef {Record<string, any> & {id: string}} Row
 * @typedef {"insert"|"update"|"delete"} Kind
 * @typedef {{seq: number, entity: string, row_id: string, kind: Kind, data?: Record<string, any>}} Change
 * @typedef {{id: string, seq: number}} Written  What a write resolves with, once it is durable on the server.
 * @typedef {"connecting"|"live"|"offline"|"maintenance"|"blocked"} Status
 * @typedef {{scope: string, reason: string, until: Date|null}} Maintenance  What is switched off, why, and until when if that is known.
 * @typedef {{user_id: string|null, is_admin: boolean, is_guest?: boolean, tenant_id?: string|null, roles: string[]}} Session
 * @typedef {{id: string|null, event: string, data: string}} Frame  One frame of a stream; `event` is "message" if unnamed.
 * @typedef {{op_id: string, entity: string, row_id: string, kind: Kind, data?: Record<string, any>,
 *   seq: number, done: (written: Written) => void, fail: (error: PylonError) => void}} Write
 * @typedef {{where?: Record<string, any> | ((row: Row) => boolean), order?: string | string[], limit?: number}} LiveOptions
 */

const PAGE_ROWS = 1000; //        rows in one page of a snapshot
const BATCH_WRITES = 200; //      writes in one push
const HELD_EVENTS = 10_000; //    live events held during a pull; beyond it they are dropped and pulled again
const STEADY_MS = 5_000; //       a socket that lived shorter counts as a failed attempt
const CHECKUP_MS = 60_000; //     how often a quiet connection is compared with the server
const ECHO_MS = 2_000; //         how long a confirmed write may wait for its own event before we pull
const REQUEST_MS = 60_000;
const OPEN_MS = 10_000;
const READ_TRIES = 3; //          requests for one read that the server is too busy for
const READ_WAIT_S = 5; //         a read that would have to wait longer fails instead

/** Every failure: a stable `code` (see `pylon explain CODE`), a message, and sometimes a hint of what to do. */
export class PylonError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{hint?: string, status?: number, retryAfter?: number, maintenance?: Maintenance|null, cause?: unknown}} [more]
   */
  constructor(code, message, { hint, status = 0, retryAfter = 0, maintenance = null, cause } = {}) {
    super(message, { cause });
    this.name = "PylonError";
    this.code = code;
    this.hint = hint;
    /** HTTP status, 0 when there was no answer. */
    this.status = status;
    /** Seconds the server asked us to wait, 0 if it did not. */
    this.retryAfter = retryAfter;
    /** What is switched off, where the code is MAINTENANCE; else null. */
    this.maintenance = maintenance;
  }
}

let lastNanos = 0n;

/** A row id as the server makes them: 40 hex digits whose text order is creation order. @returns {string} */
export function generateId() {
  const [jitter, tail] = crypto.getRandomValues(new Uint32Array(2));
  const now = BigInt(Date.now()) * 1_000_000n + BigInt(jitter % 1_000_000);
  lastNanos = now > lastNanos ? now : lastNanos + 1n;
  return lastNanos.toString(16).padStart(32, "0") + tail.toString(16).padStart(8, "0");
}

/** Full jitter, as AWS calls it: anything from nothing up to the doubled step, at most 30 s. @param {number} attempt */
const backoff = (attempt) => Math.random() * Math.min(30_000, 1_000 * 2 ** (attempt - 1));
/** Never sooner than the server asked, and spread behind it: those it sent away together must not return together. @param {number} seconds */
const asked = (seconds) => seconds && seconds * 1_000 + Math.random() * Math.max(1_000, seconds * 500);
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
const randomText = () => Math.random().toString(36).slice(2, 10).padEnd(8, "0");
const nothing = () => {};

/** Tells each listener; one that throws stops neither the others nor us. @template T @param {Iterable<(value: T) => void>} listeners @param {T} value */
function tellAll(listeners, value) {
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

/** `setTimeout` that never keeps a Node process alive. @param {() => void} run @param {number} ms */
function later(run, ms) {
  const timer = /** @type {any} */ (setTimeout(run, ms));
  timer.unref?.();
  return timer;
}

// ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────

class Http {
  /** @param {string} base @param {string|null} token */
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /**
   * The raw answer, whatever its status.
   * @param {string} method @param {string} path @param {unknown} [body]
   * @param {{signal?: AbortSignal, headers?: Record<string, string>}} [options]
   */
  async send(method, path, body, { signal, headers = {} } = {}) {
    const all = { ...headers };
    if (this.token) all.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) all["Content-Type"] = "application/json";
    try {
      return await fetch(this.base + path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal });
    } catch (cause) {
      throw networkError(cause);
    }
  }

  /** The answer's JSON; anything but 2xx throws. A read that the server is too busy for is asked again. @param {string} method @param {string} path @param {unknown} [body] */
  json = async (method, path, body) => (await this.exchange(method, path, body)).value;

  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<{value: any, seq: number}>} */
  async exchange(method, path, body) {
    let response;
    for (let tries = 1; ; tries += 1) {
      response = await this.send(method, path, body, { signal: AbortSignal.timeout(REQUEST_MS) });
      if (response.ok) break;
      const error = await errorOf(response);
      const isBusy = error.status === 429 || (error.status === 503 && error.code !== "MAINTENANCE");
      if (method !== "GET" || !isBusy || tries === READ_TRIES || error.retryAfter > READ_WAIT_S) throw error;
      await sleep(Math.max(backoff(tries), asked(error.retryAfter)));
    }
    try {
      return { value: await response.json(), seq: Number(response.headers.get("X-Pylon-Change-Seq")) || 0 };
    } catch (cause) {
      throw networkError(cause); // the connection broke, or something that is no Pylon answered
    }
  }
}

/** @param {unknown} cause */
const networkError = (cause) => new PylonError("NETWORK", "The server could not be reached.", { cause, hint: "The request may or may not have been carried out." });

/** @param {Response} response */
async function errorOf(response) {
  const { error } = await response.json().catch(() => ({}));
  const wait = response.headers.get("Retry-After") ?? error?.retry_after_secs ?? 0;
  const seconds = Number.isNaN(Number(wait)) ? (Date.parse(wait) - Date.now()) / 1000 || 0 : Number(wait);
  const code = error?.code ?? `HTTP_${response.status}`;
  return new PylonError(code, error?.message ?? `The server answered ${response.status}.`, {
    hint: error?.hint,
    status: response.status,
    retryAfter: Math.max(0, seconds),
    maintenance: code === "MAINTENANCE" ? maintenanceOf(error.reason ?? error.message, error) : null,
  });
}

/** @param {string} reason @param {{scope?: string, until?: number|null}} said @returns {Maintenance} */
const maintenanceOf = (reason, { scope = "server", until }) => ({ scope, reason, until: until ? new Date(until * 1_000) : null });

/** Worth repeating the same request? After these the server has not judged it. @param {PylonError} error */
const isPassing = (error) => error.status === 0 || [408, 429, 502, 503, 504, 507].includes(error.status);

// ── Replica ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** The rows this caller may read, as the server has them (`base`) and as the app should show them (`shown`). */
class Replica {
  /** @type {Map<string, Map<string, Row>>} */ base = new Map();
  /** @type {Map<string, Map<string, Row>>} */ shown = new Map();
  /** Unconfirmed writes by row, oldest first. @type {Map<string, Write[]>} */ writes = new Map();
  /** Confirmed writes whose event has not come yet. @type {Set<Write>} */ confirmed = new Set();
  /** The base holds every change up to this seq and none after it. */ cursor = 0;
  needsSnapshot = true;
  /** Called with the entity that changed, null for all of them. @type {Set<(entity: string|null) => void>} */ listeners = new Set();
  /** Who waits for the cursor to reach a seq. @type {Map<() => void, number>} */ waiting = new Map();

  /** Takes one event of the server. Events at or below the cursor are known already. @param {Change} change */
  apply(change) {
    if (change.seq <= this.cursor) return;
    place(tableOf(this.base, change.entity), change);
    this.advance(change.seq);
    this.refresh(change.entity, change.row_id);
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

  /** Puts a whole snapshot in the place of the base. @param {Map<string, Map<string, Row>>} base @param {number} cursor */
  replace(base, cursor) {
    this.base = base;
    this.cursor = cursor;
    this.needsSnapshot = false;
    this.rebuild();
    this.advance(cursor);
  }

  /** The log went on without us (410): keep showing what we have until a new snapshot stands. */
  outdate() {
    this.needsSnapshot = true;
    for (const write of [...this.confirmed]) this.forget(write); // their seq may belong to another log
  }

  /** Somebody else asks now: nothing of the former caller's rows may stay visible. */
  clear() {
    this.outdate();
    this.replace(new Map(), 0);
    this.needsSnapshot = true;
  }

  /** Shows a write at once. @param {Write} write */
  add(write) {
    const key = keyOf(write);
    this.writes.set(key, [...(this.writes.get(key) ?? []), write]);
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
    const key = keyOf(write);
    const left = (this.writes.get(key) ?? []).filter((other) => other !== write);
    if (left.length) this.writes.set(key, left);
    else this.writes.delete(key);
    this.confirmed.delete(write);
    this.refresh(write.entity, write.row_id);
  }

  /** Server first, our unconfirmed writes on top. @param {string} entity @param {string} id */
  refresh(entity, id) {
    let row = this.base.get(entity)?.get(id);
    for (const write of this.writes.get(`${entity}\n${id}`) ?? []) {
      if (write.kind === "delete") row = undefined;
      else if (write.kind === "update") row = row && { ...row, ...write.data, id };
      else row ??= { ...write.data, id };
    }
    const table = tableOf(this.shown, entity);
    if (row) table.set(id, row);
    else table.delete(id);
    tellAll(this.listeners, entity);
  }

  rebuild() {
    this.shown = new Map([...this.base].map(([entity, rows]) => [entity, new Map(rows)]));
    for (const writes of this.writes.values()) this.refresh(writes[0].entity, writes[0].row_id);
    tellAll(this.listeners, null);
  }
}

/** @param {Write} write */
const keyOf = (write) => `${write.entity}\n${write.row_id}`;

/** @param {Map<string, Map<string, Row>>} tables @param {string} entity */
function tableOf(tables, entity) {
  let table = tables.get(entity);
  if (!table) tables.set(entity, (table = new Map()));
  return table;
}

/** @param {Map<string, Row>} table @param {Change} change */
function place(table, { kind, row_id: id, data }) {
  if (kind === "delete") table.delete(id);
  else if (data) table.set(id, kind === "update" ? { ...table.get(id), ...data, id } : { ...data, id });
}

// ── Outbox ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Sends writes in the order they were made, one batch at a time, each batch until the server has judged it. */
class Outbox {
  /** @type {Write[]} */ queue = [];
  sending = false;
  size = BATCH_WRITES;
  wake = nothing;

  /** @param {Http} http @param {Replica} replica @param {string} clientId @param {{confirmed: (seq: number) => void, trouble: (error: PylonError|null) => void}} hooks */
  constructor(http, replica, clientId, hooks) {
    this.http = http;
    this.replica = replica;
    this.clientId = clientId;
    this.hooks = hooks;
  }

  /** @param {Kind} kind @param {string} entity @param {string} id @param {Record<string, any>} [data] @returns {Promise<Written>} */
  write(kind, entity, id, data) {
    return new Promise((done, fail) => {
      const write = { op_id: `mut_${Date.now()}_${randomText()}`, entity, row_id: id, kind, data, seq: Infinity, done, fail };
      this.queue.push(write);
      this.replica.add(write);
      queueMicrotask(() => this.drain()); // writes made in one turn travel together
    });
  }

  async drain() {
    if (this.sending) return;
    this.sending = true;
    for (let failures = 0; this.queue.length; ) {
      const batch = this.queue.slice(0, this.size);
      const changes = batch.map(({ op_id, entity, row_id, kind, data }) => ({ op_id, entity, row_id, kind, data }));
      try {
        const { results = [] } = await this.http.json("POST", "/api/sync/push", { changes, client_id: this.clientId });
        batch.forEach((write, i) => this.settle(write, results[i]));
        this.hooks.confirmed(Math.max(...results.map((/** @type {any} */ { seq }) => seq ?? 0)));
        this.hooks.trouble(null);
        this.size = BATCH_WRITES;
        failures = 0;
      } catch (raised) {
        const error = /** @type {PylonError} */ (raised);
        failures += 1;
        if (isPassing(error) || (error.status >= 500 && failures < 5)) {
          this.hooks.trouble(error);
          // The answer may be what got lost: the same op_ids go out again, and the server knows them.
          await this.pause(Math.max(backoff(failures), asked(error.retryAfter)));
        } else if (error.status === 413 && batch.length > 1) this.size = Math.ceil(batch.length / 2);
        else if (batch.length > 1 && error.status >= 500) this.size = 1; // find the one that it chokes on
        else batch.forEach((write) => this.refuse(write, error));
      }
    }
    this.sending = false;
  }

  /** @param {Write} write @param {any} result */
  settle(write, result) {
    if (!this.queue.includes(write)) return; // abandoned meanwhile
    if (!result || result.status === "error") {
      const { code = "INVALID_ANSWER", message = "The server did not say what became of this write.", hint } = result?.error ?? {};
      return this.refuse(write, new PylonError(code, message, { hint, status: 200 }));
    }
    this.queue.splice(this.queue.indexOf(write), 1);
    const seq = result.seq ?? 0;
    this.replica.confirm(write, seq);
    write.done({ id: result.row_id ?? write.row_id, seq });
  }

  /** @param {Write} write @param {PylonError} error */
  refuse(write, error) {
    const at = this.queue.indexOf(write);
    if (at < 0) return;
    this.queue.splice(at, 1);
    this.replica.forget(write);
    write.fail(error);
  }

  /** Gives up everything that is not confirmed. @param {PylonError} error */
  abandon(error) {
    for (const write of [...this.queue]) this.refuse(write, error);
    this.wake();
  }

  /** @param {number} ms */
  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => (clearTimeout(timer), resolve(undefined));
    });
  }
}

// ── Sync ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One WebSocket as two promises: `opened`, and `ended` with the close code (0: it never opened, or we hung up). */
class Socket {
  /** @param {string} url @param {string|null} token @param {(socket: Socket, frame: any) => void} receive */
  constructor(url, token, receive) {
    /** The highest seq this socket has brought, or that was pulled when it opened. */
    this.seen = 0;
    /** What the server said over this socket. @type {Maintenance|null} */
    this.maintenance = null;
    this.ws = new WebSocket(url, token ? [`bearer.${encodeURIComponent(token)}`] : []);
    this.ws.binaryType = "arraybuffer";
    /** @type {Promise<number>} */
    this.ended = new Promise((resolve) => (this.end = resolve));
    this.opened = new Promise((resolve, reject) => {
      const failed = new PylonError("NETWORK", "The live connection could not be opened.");
      this.ws.onopen = () => resolve(undefined);
      this.ended.then(() => reject(failed));
      later(() => this.ws.readyState === 0 && this.hangUp(), OPEN_MS);
    });
    this.opened.catch(nothing);
    this.ws.onclose = (event) => this.end(event.code);
    this.ws.onmessage = (event) => typeof event.data === "string" && receive(this, parsed(event.data));
  }

  /** Ends at once: a browser may wait a minute for the closing handshake of a dead connection. @param {number} [code] */
  hangUp(code = 0) {
    this.ws.onmessage = this.ws.onclose = null;
    this.ws.close();
    this.end(code);
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // an unknown frame is no reason to drop the connection
  }
}

/** Keeps the replica current, for ever. No change is missed: the socket is open, and what it brings is held back,
 * before the pull that closes the gap starts; what was held is applied behind it. */
class Sync {
  /** @type {Status} */ status = "connecting";
  started = false;
  closed = false;
  /** Counts callers: an answer that began under an earlier epoch is thrown away. */ epoch = 0;
  /** While positive, live events wait in `held`. */ holders = 0;
  /** @type {Change[]} */ held = [];
  overflowed = false;
  /** @type {Socket|null} */ socket = null;
  /** @type {Promise<void>} */ pulling = Promise.resolve();
  pulledHead = 0;
  /** The socket is open and nothing is missing. */ current = false;
  /** @type {Maintenance|null} */ maintenance = null;
  /** Milliseconds after which the server asked us to come back, 0 if it did not. */ comeBackIn = 0;
  wake = nothing;

  /** @param {Http} http @param {Replica} replica @param {{status: (status: Status) => void, live: () => void, session: () => Promise<void>}} hooks */
  constructor(http, replica, hooks) {
    this.http = http;
    this.replica = replica;
    this.hooks = hooks;
  }

  start() {
    if (this.started || this.closed) return;
    this.started = true;
    this.run();
    this.timer = setInterval(() => this.checkUp(), CHECKUP_MS);
    /** @type {any} */ (this.timer).unref?.();
  }

  async run() {
    for (let attempt = 0; !this.closed; ) {
      const epoch = this.epoch;
      const { code, livedMs, maintenance, error } = await this.session();
      if (this.closed) return;
      if (epoch !== this.epoch) {
        attempt = 0; // somebody signed in or out: no failure, go on at once
        this.become("connecting");
        continue;
      }
      attempt = livedMs > STEADY_MS ? 1 : attempt + (error?.status === 429 ? 3 : 1);
      const isRestart = (code === 1001 || code === 1012) && attempt <= 3;
      const step = Math.max(isRestart ? Math.random() * 1_000 : backoff(attempt), code === 1013 ? 500 : 0);
      const wait = this.comeBackIn || Math.max(step, asked(error?.retryAfter ?? 0));
      this.become(maintenance ? "maintenance" : error ? statusAfter(error) : "connecting", maintenance);
      if (code === 1008 || error?.status === 401) await this.hooks.session().catch(nothing);
      await new Promise((resolve) => {
        const isOver = this.status === "blocked" && epoch === this.epoch; // until somebody signs in or the network comes back
        const timer = isOver ? undefined : setTimeout(resolve, epoch === this.epoch ? wait : 0);
        this.wake = () => (clearTimeout(timer), resolve(undefined));
      });
    }
  }

  /** One connection from opening to end. @returns {Promise<{code: number, livedMs: number, maintenance?: Maintenance|null, error?: PylonError}>} */
  async session() {
    this.held = [];
    this.holders += 1;
    this.comeBackIn = 0;
    let holding = true;
    try {
      const socket = (this.socket = new Socket(this.http.base.replace(/^http/, "ws") + "/api/sync/ws", this.http.token, (from, frame) => this.receive(from, frame)));
      if (this.replica.needsSnapshot) this.catchUp().catch(nothing); // first rows while the socket is still opening
      try {
        await socket.opened;
      } catch (error) {
        await this.catchUp(); // tells why (maintenance, rate limit), and without a socket polling is better than nothing
        throw error;
      }
      const openedAt = Date.now();
      await this.catchUp();
      socket.seen = this.replica.cursor;
      holding = false;
      this.release();
      this.current = true;
      this.become(socket.maintenance ? "maintenance" : "live", socket.maintenance);
      this.hooks.live();
      const code = await socket.ended;
      return { code, livedMs: Date.now() - openedAt, maintenance: socket.maintenance };
    } catch (raised) {
      this.held = []; // there is a gap before them: the next pull brings them
      const error = raised instanceof PylonError ? raised : networkError(raised);
      return { code: 0, livedMs: 0, maintenance: error.maintenance, error };
    } finally {
      this.current = false;
      this.socket?.hangUp();
      this.socket = null;
      if (holding) this.release();
    }
  }

  /** @param {Socket} from @param {any} frame */
  receive(from, frame) {
    if (from !== this.socket || !frame) return;
    if (frame.seq && frame.entity && frame.kind) {
      from.seen = Math.max(from.seen, frame.seq);
      if (!this.holders) this.replica.apply(frame);
      else if (this.held.length < HELD_EVENTS) this.held.push(frame);
      else this.overflowed = true;
    } else if (frame.type === "session-changed") {
      this.epoch += 1; // same socket, other rights
      this.replica.clear();
      this.hooks.session().catch(nothing);
      this.catchUp().catch(() => from.hangUp());
    } else if (frame.type === "reconnect") this.comeBackIn = Math.max(1, Number(frame.after_ms) || 0);
    else if (frame.type === "maintenance") this.maintain(from, frame);
  }

  /** The server goes into maintenance, and closes the socket next unless it only refuses writes; or it is over.
   * @param {Socket} from @param {{on: boolean, scope?: string, reason?: string, retry_after?: number, until?: number|null}} frame */
  maintain(from, frame) {
    from.maintenance = frame.on ? maintenanceOf(frame.reason ?? "", frame) : null;
    this.comeBackIn = frame.on ? asked(Number(frame.retry_after) || 0) : 0;
    if (from.maintenance) this.become("maintenance", from.maintenance);
    else if (this.current && this.maintenance) {
      this.become("live");
      later(() => this.hooks.live(), Math.random() * 1_000); // not everybody's writes at once
    }
  }

  release() {
    this.holders -= 1;
    if (this.holders) return;
    for (const change of this.held.splice(0)) this.replica.apply(change);
  }

  /** Pulls until the replica has everything up to now. Pulls never overlap. @returns {Promise<void>} */
  catchUp() {
    this.pulling = this.pulling.catch(nothing).then(() => this.pull());
    return this.pulling;
  }

  async pull() {
    this.holders += 1;
    try {
      for (let resyncs = 0; !this.closed; ) {
        const epoch = this.epoch;
        try {
          if (this.replica.needsSnapshot || this.replica.cursor === 0) await this.pullSnapshot(epoch);
          else await this.pullDelta(epoch);
          if (epoch === this.epoch && !this.overflowed) return;
          if (this.overflowed) this.held = [];
          this.overflowed = false;
        } catch (raised) {
          const error = /** @type {PylonError} */ (raised);
          if (epoch !== this.epoch) continue;
          if (error.status !== 410 || resyncs > 0) throw error;
          resyncs += 1;
          this.replica.outdate();
        }
      }
    } finally {
      this.release();
    }
  }

  /** @param {number} epoch */
  async pullSnapshot(epoch) {
    /** @type {Map<string, Map<string, Row>>} */
    const base = new Map();
    let page;
    let after = "";
    do {
      page = await this.page(`since=0&page_size=${PAGE_ROWS}${after && `&snapshot_after=${after}`}`);
      if (epoch !== this.epoch) return;
      for (const change of page.changes) place(tableOf(base, change.entity), change);
      after = page.snapshot_after ?? "";
    } while (after);
    this.replica.replace(base, page.cursor.last_seq);
    if (page.has_more && page.cursor.last_seq > 0) await this.pullDelta(epoch);
  }

  /** @param {number} epoch */
  async pullDelta(epoch) {
    for (let more = true; more; ) {
      const since = this.replica.cursor;
      const page = await this.page(`since=${since}`);
      if (epoch !== this.epoch) return;
      for (const change of page.changes) this.replica.apply(change);
      this.pulledHead = page.changes.at(-1)?.seq ?? this.pulledHead;
      this.replica.advance(page.cursor.last_seq);
      more = page.has_more && this.replica.cursor > since;
    }
  }

  /** @param {string} query */
  page(query) {
    return this.http.json("GET", `/api/sync/pull?${query}`);
  }

  /** A half-open socket looks healthy from here: if a pull brings what the socket does not, replace the socket. */
  async checkUp() {
    const socket = this.socket;
    if (!socket || !this.current) return;
    await this.catchUp().catch(() => socket.hangUp());
    later(() => socket === this.socket && socket.seen < this.pulledHead && socket.hangUp(), 5_000);
  }

  /** Resolves when the replica has reached `seq`; pulls if the event does not come by itself. @param {number} seq */
  async reach(seq) {
    if (this.current && this.replica.cursor < seq) await this.replica.reached(seq, ECHO_MS);
    if (this.current && this.replica.cursor < seq) await this.catchUp().catch(nothing);
  }

  /** Another caller from now on: forget the rows, connect anew. */
  restart() {
    this.epoch += 1;
    this.replica.clear();
    this.socket?.hangUp();
    this.wake();
    if (this.started) this.become("connecting");
  }

  /** The network came or went: find out now rather than later. */
  nudge() {
    this.socket?.hangUp();
    this.wake();
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.nudge();
  }

  /** @param {Status} status @param {Maintenance|null} [maintenance] */
  become(status, maintenance = null) {
    const isNews = status !== this.status || String(maintenance?.reason) !== String(this.maintenance?.reason);
    this.status = status;
    this.maintenance = maintenance;
    if (isNews) this.hooks.status(status);
  }
}

/** @param {PylonError} error @returns {Status} */
const statusAfter = ({ code }) => (code === "BLOCKED" ? "blocked" : "offline");

// ── Live rows ────────────────────────────────────────────────────────────────────────────────────────────────────

/** @param {LiveOptions["where"]} where @returns {(row: Row) => boolean} */
function filterOf(where) {
  if (typeof where === "function") return /** @type {(row: Row) => boolean} */ (where);
  const pairs = Object.entries(where ?? {});
  return (row) => pairs.every(([name, want]) => (Array.isArray(want) ? want.includes(row[name]) : (row[name] ?? null) === (want ?? null)));
}

/** `["-a", "b"]` sorts by a descending, then b, then id. A field that an unconfirmed insert lacks counts as newest.
 * @param {string | string[]} [order] @returns {(a: Row, b: Row) => number} */
function orderOf(order = []) {
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

/**
 * The rows of one entity that match, sorted, always current. Made by `db.live()`.
 * @template {Record<string, any>} [T=Row]
 */
export class Live {
  /** @type {T[]} */
  #rows = [];
  #stale = true;
  #timer = null;
  /** Each with what it was told last. @type {Set<{fn: (rows: T[]) => void, rows: T[], loading: boolean}>} */
  #listeners = new Set();
  #replica;
  #entity;
  #matches;
  #order;
  #limit;
  #onChange;

  /** @param {Replica} replica @param {string} entity @param {LiveOptions} options */
  constructor(replica, entity, { where, order, limit = Infinity }) {
    this.#replica = replica;
    this.#entity = entity;
    this.#matches = filterOf(where);
    this.#order = orderOf(order);
    this.#limit = limit;
    this.#onChange = (/** @type {string|null} */ changed) => {
      if (changed !== entity && changed !== null) return;
      this.#stale = true;
      this.#timer ??= /** @type {any} */ (setTimeout(() => this.#tell(), 0)); // one call for a burst of changes
    };
    replica.listeners.add(this.#onChange);
  }

  /** The rows now; the same array until one of them changes. Do not modify it. @returns {T[]} */
  get rows() {
    if (this.#stale) {
      this.#stale = false;
      const all = [...(this.#replica.shown.get(this.#entity)?.values() ?? [])];
      const rows = all.filter(this.#matches).sort(this.#order).slice(0, this.#limit);
      const same = rows.length === this.#rows.length && rows.every((row, i) => row === /** @type {any} */ (this.#rows[i]));
      if (!same) this.#rows = /** @type {any} */ (rows);
    }
    return this.#rows;
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

// ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Frames of a `text/event-stream` body. @param {ReadableStream<Uint8Array>} body @returns {AsyncGenerator<Frame, void>} */
export async function* parseEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A lone CR at the end may be the first half of CRLF: it waits for the next chunk.
      const safe = text.endsWith("\r") && !done ? text.length - 1 : text.length;
      const blocks = (text.slice(0, safe).replace(/\r\n?/g, "\n") + text.slice(safe)).split("\n\n");
      text = /** @type {string} */ (blocks.pop());
      for (const block of blocks) {
        const frame = frameOf(block);
        if (frame) yield frame;
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(nothing);
  }
}

/** @param {string} block @returns {Frame|null} */
function frameOf(block) {
  /** @type {Frame} */
  const frame = { id: null, event: "message", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === "data") data.push(value);
    else if (name === "event") frame.event = value;
    else if (name === "id") frame.id = value;
  }
  frame.data = data.join("\n");
  return data.length ? frame : null; // a comment such as ": hb"
}

// ── Database ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** @returns {Storage|null} */
function storage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // blocked by the browser: the session lasts as long as the page
  }
}

/** One connection to one Pylon server. Made by `connect()`. */
export class Database {
  #http;
  #replica = new Replica();
  #outbox;
  #sync;
  #tokenKey;
  /** @type {Set<(status: Status, maintenance: Maintenance|null) => void>} */
  #statusListeners = new Set();
  /** @type {Set<(session: Session) => void>} */
  #sessionListeners = new Set();
  #nudge = () => this.#sync.nudge();
  #look = () => document.visibilityState === "visible" && this.#sync.checkUp();
  /** The caller as of the last `me()`; null before it. @type {Session|null} */
  user = null;

  /** @param {{url?: string, token?: string, app?: string}} options */
  constructor({ url, token, app = "default" }) {
    const base = url ?? globalThis.location?.origin ?? "http://localhost:4321";
    this.#tokenKey = app === "default" ? "pylon_token" : `pylon:${app}:token`;
    this.#http = new Http(base.replace(/\/+$/, ""), token ?? storage()?.getItem(this.#tokenKey) ?? null);
    this.#sync = new Sync(this.#http, this.#replica, {
      status: (status) => tellAll([...this.#statusListeners].map((fn) => () => fn(status, this.maintenance)), undefined),
      live: () => this.#outbox.wake(),
      session: () => this.#reviewSession(),
    });
    this.#outbox = new Outbox(this.#http, this.#replica, clientId(), {
      confirmed: (seq) => this.#awaitEcho(seq),
      trouble: (error) => {
        if (error?.maintenance) this.#sync.become("maintenance", error.maintenance);
        else if (!error && this.#sync.status === "maintenance" && this.#sync.current) this.#sync.become("live");
      },
    });
    globalThis.addEventListener?.("online", this.#nudge);
    globalThis.addEventListener?.("offline", this.#nudge);
    globalThis.document?.addEventListener("visibilitychange", this.#look);
  }

  /** How the live connection stands. @returns {Status} */
  get status() {
    return this.#sync.status;
  }

  /** Why the server is in maintenance and until when, as far as it told; null when it is not. @returns {Maintenance|null} */
  get maintenance() {
    return this.status === "maintenance" ? this.#sync.maintenance : null;
  }

  /** The number of writes that the server has not confirmed yet. */
  get pending() {
    return this.#outbox.queue.length;
  }

  /** The token in use, or null. */
  get token() {
    return this.#http.token;
  }

  /** Calls `fn` with the status, and in maintenance with why, at once and whenever it changes. @param {(status: Status, maintenance: Maintenance|null) => void} fn @returns {() => void} stop */
  onStatus(fn) {
    this.#statusListeners.add(fn);
    fn(this.status, this.maintenance);
    return () => void this.#statusListeners.delete(fn);
  }

  /** Calls `fn` when the caller changes: signed in, out, revoked, other organisation. @param {(session: Session) => void} fn @returns {() => void} stop */
  onSession(fn) {
    this.#sessionListeners.add(fn);
    return () => void this.#sessionListeners.delete(fn);
  }

  /** Who the server takes us for. @returns {Promise<Session>} */
  async me() {
    const session = /** @type {Session} */ (await this.#http.json("GET", "/api/auth/me"));
    const changed = this.user && (this.user.user_id !== session.user_id || (this.user.tenant_id ?? null) !== (session.tenant_id ?? null));
    this.user = session;
    if (changed) tellAll(this.#sessionListeners, session);
    return session;
  }

  /** Our session if we have one, else a new guest's, remembered in this browser. @returns {Promise<Session>} */
  async guest() {
    if (this.token) {
      const session = await this.me();
      if (session.user_id) return session;
    }
    return this.use((await this.#http.json("POST", "/api/auth/guest", {})).token);
  }

  /** Signs in as any user, in dev mode or with an admin token. @param {string} userId @returns {Promise<Session>} */
  async session(userId) {
    return this.use((await this.#http.json("POST", "/api/auth/session", { user_id: userId })).token);
  }

  /** Goes on as the owner of `token` (null: as nobody) and remembers it in this browser. @param {string|null} token @returns {Promise<Session>} */
  async use(token) {
    if (token !== this.#http.token) {
      this.#http.token = token;
      if (token) storage()?.setItem(this.#tokenKey, token);
      else storage()?.removeItem(this.#tokenKey);
      this.#outbox.abandon(new PylonError("SESSION_CHANGED", "The session changed before the server confirmed this write.", { hint: "It may or may not have been stored." }));
      this.#sync.restart();
    }
    return this.me();
  }

  /** Ends the session on the server and forgets it here. @returns {Promise<Session>} */
  async signOut() {
    await this.#http.json("DELETE", "/api/auth/session");
    return this.use(null);
  }

  /**
   * Rows that stay current. `where` is an object (equality; an array means "one of") or a function;
   * `order` a field or fields, `-` first for descending; `limit` a number.
   * @template {Record<string, any>} [T=Row]
   * @param {string} entity @param {LiveOptions} [options] @returns {Live<T>}
   */
  live(entity, options = {}) {
    this.#sync.start();
    return new Live(this.#replica, entity, options);
  }

  /** One row of the replica as it is now, unconfirmed writes included. @param {string} entity @param {string} id @returns {Row|undefined} */
  get(entity, id) {
    this.#sync.start();
    return this.#replica.shown.get(entity)?.get(id);
  }

  /** Shown at once, sent in order; rejects (and is taken back) if the server refuses. @param {string} entity @param {Record<string, any>} data @returns {Promise<Written>} */
  insert(entity, data) {
    const id = data.id ?? generateId();
    return this.#outbox.write("insert", entity, id, { ...data, id });
  }

  /** As `insert`; `patch` holds the fields to set. @param {string} entity @param {string} id @param {Record<string, any>} patch @returns {Promise<Written>} */
  update(entity, id, patch) {
    return this.#outbox.write("update", entity, id, { ...patch });
  }

  /** As `insert`. @param {string} entity @param {string} id @returns {Promise<Written>} */
  delete(entity, id) {
    return this.#outbox.write("delete", entity, id);
  }

  /**
   * Calls a function of the app and gives what it returns. Live rows already hold what it wrote.
   * Not repeated when the connection fails: the server may have carried it out.
   * @param {string} name @param {Record<string, any>} [args] @returns {Promise<any>}
   */
  async call(name, args = {}) {
    const { value, seq } = await this.#http.exchange("POST", `/api/fn/${encodeURIComponent(name)}`, args);
    if (seq) await this.#sync.reach(seq);
    return value;
  }

  /**
   * Calls an action and yields the frames it streams; the generator's return value is the action's result.
   * Leaving the loop ends the request. A stream that breaks off throws STREAM_INTERRUPTED.
   * @param {string} name @param {Record<string, any>} [args] @param {{signal?: AbortSignal}} [options]
   * @returns {AsyncGenerator<Frame, any>}
   */
  async *stream(name, args = {}, { signal } = {}) {
    const headers = { Accept: "text/event-stream, application/json" };
    const response = await this.#http.send("POST", `/api/fn/${encodeURIComponent(name)}`, args, { signal, headers });
    if (!response.ok) throw await errorOf(response);
    if (!response.headers.get("Content-Type")?.includes("text/event-stream") || !response.body) return response.json();
    try {
      for await (const frame of parseEvents(response.body)) {
        if (frame.event === "result") return JSON.parse(frame.data);
        if (frame.event === "error") {
          const { code = "HANDLER_ERROR", message = frame.data, hint } = parsed(frame.data) ?? {};
          throw new PylonError(code, message, { hint, status: 200 });
        }
        yield frame;
      }
    } catch (raised) {
      if (raised instanceof PylonError || signal?.aborted) throw raised;
      throw new PylonError("STREAM_INTERRUPTED", "The stream broke off before its result.", { cause: raised });
    }
    throw new PylonError("STREAM_INTERRUPTED", "The stream ended without a result.");
  }

  /** Closes the connection; writes not confirmed by then are rejected. */
  close() {
    this.#outbox.abandon(new PylonError("CLOSED", "The connection was closed before the server confirmed this write."));
    this.#sync.close();
    globalThis.removeEventListener?.("online", this.#nudge);
    globalThis.removeEventListener?.("offline", this.#nudge);
    globalThis.document?.removeEventListener("visibilitychange", this.#look);
  }

  /** A row we may write but not read never comes back to us: a pull moves the cursor past it. @param {number} seq */
  #awaitEcho(seq) {
    if (this.#sync.started) this.#sync.reach(seq);
    else this.#replica.outdate(); // nobody watches: there is nothing to lay writes over
  }

  /** The server refused us: a dead token is forgotten, a living one keeps its place. */
  async #reviewSession() {
    const session = await this.me();
    if (this.token && session.user_id === null) await this.use(null);
  }
}

/** Tells this browser's writes from another's when nobody is signed in. */
function clientId() {
  const kept = storage()?.getItem("pylon:client_id");
  const id = kept ?? `cl_${generateId()}`;
  if (!kept) storage()?.setItem("pylon:client_id", id);
  return id;
}

/**
 * Connects to a Pylon server: by default the one that served the page, as whoever this browser last was.
 * Nothing is sent before the first `live()`, write or call.
 * @param {{url?: string, token?: string, app?: string}} [options] `app` keeps the tokens of several apps on one origin apart
 * @returns {Database}
 */
export function connect(options = {}) {
  return new Database(options);
}

// ── Development ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Under `pylon dev`: reloads the page when the app was reloaded, and shows why when it could not be. */
async function watchDevServer() {
  const answer = await fetch("/_pylon/dev/diagnostics").catch(() => null);
  if (!answer?.ok) return;
  let running = "";
  const events = new EventSource("/_pylon/dev/live");
  events.addEventListener("hello", ({ data }) => {
    if (running && running !== data) location.reload();
    running = data;
  });
  events.addEventListener("diagnostics", ({ data }) => showErrors(parsed(data)?.errors ?? []));
  showErrors((await answer.json().catch(() => ({}))).errors ?? []);
}

/** @param {{message: string, file?: string, line?: number}[]} errors */
function showErrors(errors) {
  document.getElementById("pylon-dev-errors")?.remove();
  if (!errors.length) return;
  const banner = document.createElement("pre");
  banner.id = "pylon-dev-errors";
  banner.setAttribute("role", "alert");
  banner.style.cssText =
    "position:fixed;inset:auto 0 0 0;z-index:2147483647;margin:0;padding:14px 18px;max-height:50vh;overflow:auto;" +
    "background:#2b0d10;color:#ffd9d6;border-top:3px solid #ff5c52;font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap";
  const where = errors.map(({ message, file, line }) => (file ? `${file}${line ? `:${line}` : ""}\n${message}` : message));
  banner.textContent = `The app has an error; the last good version is still running.\n\n${where.join("\n\n")}`;
  document.body.append(banner);
}

if (["localhost", "127.0.0.1"].includes(globalThis.location?.hostname)) watchDevServer();
