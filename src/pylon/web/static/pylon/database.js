// @ts-check
/**
 * What `connect()` returns, and how the parts fit together: `Replica` holds the rows, `Queue` the writes that are not
 * confirmed; `Sync` keeps the replica current over a link, its own socket or that of the tab that leads (`Tabs`); `Disk`
 * keeps both over a reload; `Live` is one view of the rows.
 *
 * @typedef {import("./replica.js").Row} Row
 * @typedef {import("./sync.js").Status} Status
 * @typedef {import("./errors.js").Maintenance} Maintenance
 * @typedef {import("./switches.js").Switch} Switch
 * @typedef {{user_id: string|null, is_admin: boolean, is_guest?: boolean, tenant_id?: string|null, roles: string[]}} Session
 * @typedef {{kind: "disk"|"memory", reason: string|null}} Storage  Where rows and writes are kept, and why not on disk.
 * @typedef {import("./replica.js").Conflict & {write: {op_id: string}}} SeenConflict
 * @typedef {{url?: string, token?: string, app?: string, scope?: Record<string, any>, persist?: boolean, share?: boolean,
 *   onError?: (error: PylonError, write: any) => void, onConflict?: (conflict: import("./replica.js").Conflict) => Record<string, any>|void}} Options
 */
import { Documents } from "./documents.js";
import { Disk } from "./disk.js";
import { PylonError } from "./errors.js";
import { LiveFunction } from "./functions.js";
import { Http } from "./http.js";
import { fingerprint, generateId } from "./ids.js";
import { listen, tellAll } from "./listeners.js";
import { Live } from "./live.js";
import { Queue } from "./queue.js";
import { clientId, Remembered } from "./remembered.js";
import { Replica } from "./replica.js";
import { Room } from "./rooms.js";
import { streamOf } from "./streams.js";
import { Subscriptions } from "./subscriptions.js";
import { Sync } from "./sync.js";
import { Tabs } from "./tabs.js";
import { CollabText } from "./text.js";
import { nothing } from "./waiting.js";

/** One connection to one Pylon server. Made by `connect()`. */
export class Database {
  #http;
  #replica = new Replica();
  #queue;
  #sync;
  #tabs;
  #subscriptions;
  #documents;
  #remembered;
  #options;
  /** @type {Disk|null} */ #disk = null;
  /** @type {Promise<void>|null} */ #prepared = null;
  #isPrepared = false;
  /** Whose rows the disk holds, undefined while there is none. @type {string|null|undefined} */ #owner;
  /** The server has said, since the connection was last lost, that we are still the owner. */ #isVerified = false;
  /** The rights that the rows were read under, null while that is not known. @type {string|null} */ #rights = null;
  #releaseRows = nothing;
  /** Counts callers and scopes: what was opened for an earlier one is closed again. */ #turn = 0;
  /** @type {Storage} */ #storage = { kind: "memory", reason: null };
  #progress = { rows: 0, done: false };
  #listeners = { status: new Set(), session: new Set(), storage: new Set(), progress: new Set(), error: new Set(), switches: new Set(), frame: new Set(), open: new Set() };
  /** @type {(() => void)[]} */ #stops = [];
  /** The caller as of the last `me()`, or remembered; null before it. @type {Session|null} */
  user = null;

  /** @param {Options} options */
  constructor(options) {
    const { url, token, app = "default", scope = null, onError } = options;
    this.#options = { ...options, app };
    this.#remembered = new Remembered(app);
    const base = url ?? globalThis.location?.origin ?? "http://localhost:4321";
    this.#http = new Http(base.replace(/\/+$/, ""), token ?? this.#remembered.token);
    this.#http.mistaken = () => void this.#reviewSession().catch(nothing);
    this.#tabs = new Tabs({
      lead: () => this.#lead(),
      demoted: () => (this.#releaseRows(), this.#sync.link?.hangUp()),
      heard: (message) => this.#hear(message),
      gone: (tab) => this.#subscriptions.gone(tab),
    });
    this.#sync = new Sync(this.#http, this.#replica, this.#tabs, {
      prepare: () => this.#ready(),
      ended: () => (this.#isVerified = false),
      status: (status) => tellAll([...this.#listeners.status].map((fn) => () => fn(status, this.maintenance)), undefined),
      open: () => this.#subscriptions.resume(),
      live: () => (this.#disk?.noteCursor(), this.#queue.wake(), this.#queue.drain(), tellAll(this.#listeners.open, undefined)),
      retry: () => (this.#queue.wake(), this.#queue.drain()),
      session: (isNew) => this.#reviewSession(isNew),
      switches: (switches) => tellAll(this.#listeners.switches, switches),
      frame: (frame) => tellAll(this.#listeners.frame, frame),
      binary: (data) => this.#documents.receive(data),
      progress: (rows, done) => tellAll(this.#listeners.progress, (this.#progress = { rows, done })),
    });
    this.#sync.scope = scope;
    this.#subscriptions = new Subscriptions(this.#sync, this.#tabs, this.#http);
    this.#queue = new Queue(this.#http, this.#replica, clientId(), {
      prepare: () => (this.#disk ? this.#ready() : this.#prepare()),
      mayPush: () => this.#isPrepared && this.#tabs.isLeader && (this.#isVerified || !this.#disk),
      keep: (note) => this.#disk?.put("writes", note.order, note),
      drop: (write) => this.#disk?.put("writes", write.order, undefined),
      share: (message) => this.#tabs.post(message),
      confirmed: (seq) => this.#awaitEcho(seq),
      refused: (error, write) => tellAll([...this.#listeners.error].map((fn) => () => fn(error, write)), undefined),
      trouble: (error) => {
        if (error?.maintenance) this.#sync.become("maintenance", error.maintenance);
        else if (!error && this.#sync.status === "maintenance" && this.#sync.current) this.#sync.become("live");
      },
    });
    this.#documents = new Documents(this.#http, this.#subscriptions, {
      disk: () => this.#disk,
      prepare: () => this.#prepare(),
      share: (message) => this.#tabs.post(message),
    });
    this.#listeners.open.add(() => this.#documents.push());
    if (onError) this.#listeners.error.add(onError);
    this.#replica.placed = (entity, id) => this.#disk?.note(entity, id);
    this.#replica.replaced = () => void this.#disk?.rewrite();
    this.#replica.collided = (conflict, write) => this.#collide(conflict, write);
    this.#watch(token === undefined);
  }

  /** @param {boolean} followsToken */
  #watch(followsToken) {
    const on = (/** @type {any} */ target, /** @type {string} */ type, /** @type {() => void} */ fn) => {
      target?.addEventListener?.(type, fn);
      this.#stops.push(() => target?.removeEventListener?.(type, fn));
    };
    const nudge = () => this.#sync.nudge();
    on(globalThis, "online", nudge);
    on(globalThis, "offline", nudge);
    on(globalThis.document, "freeze", () => this.#tabs.freeze());
    on(globalThis.document, "resume", () => (this.#http.interrupt(), this.#tabs.resume()));
    on(globalThis, "pagehide", () => void this.#disk?.flush());
    on(globalThis.document, "visibilitychange", () => {
      if (document.visibilityState === "visible") this.#sync.checkUp(), this.#tabs.resume();
      else void this.#disk?.flush();
    });
    if (followsToken) this.#stops.push(this.#remembered.onToken((token) => void this.#become(token).catch(nothing)));
  }

  // ── Before the first request ───────────────────────────────────────────────────────────────────────────────────

  /** Opens the disk of this caller and joins the tabs; throws when it can't be known who that is. */
  async #prepare() {
    const turn = this.#turn;
    this.#prepared ??= this.#open();
    try {
      await this.#prepared;
    } catch (error) {
      if (turn === this.#turn) this.#prepared = null;
      throw error;
    }
    if (turn !== this.#turn && !this.#sync.closed) await this.#prepare();
  }

  /** As `#prepare`, and with a server that takes us for the owner of rows and writes: one whose session has ended
   * meanwhile is nobody to it, and must neither send the owner's writes nor move the owner's cursor. */
  async #ready() {
    await this.#prepare();
    if (!this.#isVerified) await this.#reviewSession();
  }

  async #open() {
    const turn = this.#turn;
    const isCurrent = () => turn === this.#turn && !this.#sync.closed;
    const { persist = true, share = true, app } = this.#options;
    const session = await this.#whoAmI();
    if (!isCurrent()) return;
    if (this.token && session.user_id === null) return void (await this.#end(this.token));
    this.#owner = session.user_id;
    this.#rights = rightsOf(session);
    if (persist && globalThis.indexedDB) {
      const all = `pylon ${this.#http.base} ${app} `;
      const name = `${all}${session.user_id ?? ""}`;
      const disk = await Disk.open(name, this.#tabs.id, (error) => this.#lostDisk(error)).catch((error) => (this.#lostDisk(error), null));
      if (!isCurrent()) return disk?.close();
      this.#disk = disk;
      if (session.user_id && Tabs.areKnown) Disk.forgetOthers(all, name).catch(nothing);
    }
    if (share && Tabs.areKnown) {
      await this.#tabs.join([this.#http.base, app, fingerprint(this.#http.token ?? ""), this.#scopeKey()].join(" "));
      if (!isCurrent()) return;
    }
    if (this.#disk) await this.#restore(this.#disk).catch((error) => this.#lostDisk(error));
    if (!isCurrent()) return;
    this.#isPrepared = true;
    if (this.#tabs.isLeader) this.#ownRows();
    this.#queue.drain();
  }

  /** Asks the server; without a connection the answer is the one it last gave for this token. @returns {Promise<Session>} */
  async #whoAmI() {
    const kept = this.#remembered.sessionOf(this.#http.token);
    if (kept && this.#http.token) return this.#assume(this.user ?? kept);
    try {
      return await this.me();
    } catch (error) {
      if (kept && /** @type {PylonError} */ (error).status === 0) return this.#assume(kept);
      throw error;
    }
  }

  /** Takes ourselves for this, until the server has said. @param {Session} session */
  #assume(session) {
    this.#http.user = session.user_id ?? "";
    return (this.user = session);
  }

  /** @param {Disk} disk */
  async #restore(disk) {
    const scope = this.#sync.scope;
    const [rows, writes] = await Promise.all([disk.load(this.#rowsKey(scope)), disk.writes()]);
    if (disk !== this.#disk) return;
    if (rows && this.#replica.needsSnapshot && this.#replica.cursor === 0) {
      this.#replica.replace(rows.base, rows.cursor);
      this.#sync.heldScope = scope;
    }
    for (const write of this.#queue.writes) if (write.seq === Infinity) disk.put("writes", write.order, noteOf(write)); // made before the disk was open
    for (const note of writes) this.#queue.take(note);
    this.#store({ kind: "disk", reason: null });
    this.#documents.recover(disk).catch(nothing);
  }

  #scopeKey() {
    return JSON.stringify(this.#sync.scope);
  }

  /** Which rows these are: of another scope, or read under other rights, they are others. @param {import("./sync.js").Scope} scope */
  #rowsKey(scope) {
    return JSON.stringify([scope, this.#rights]);
  }

  /** One tab writes rows, and only where locks say which. */
  #ownRows() {
    const disk = this.#disk;
    if (!disk || !Tabs.areKnown || this.#options.share === false) return;
    const released = new Promise((resolve) => (this.#releaseRows = () => resolve(undefined)));
    const held = async () => {
      if (disk.isClosed || !this.#tabs.isLeader) return;
      await disk.own(this.#replica, () => this.#rowsKey(this.#sync.heldScope)).catch((error) => this.#lostDisk(error));
      await Promise.race([disk.closed, released]);
    };
    navigator.locks.request(`rows of ${disk.database.name}`, held).catch(nothing);
  }

  /** @param {any} error */
  #lostDisk(error) {
    const full = error?.name === "QuotaExceededError";
    this.#disk?.close();
    this.#disk = null;
    this.#store({ kind: "memory", reason: full ? "The browser's space for this page is used up." : "The browser keeps nothing for this page." });
  }

  /** @param {Storage} storage */
  #store(storage) {
    const isNews = storage.kind !== this.#storage.kind || storage.reason !== this.#storage.reason;
    this.#storage = storage;
    if (isNews) tellAll(this.#listeners.storage, storage);
  }

  // ── Tabs ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The tab that led is gone, or never was: our own socket now, and everybody's writes are ours to send. */
  #lead() {
    if (!this.#isPrepared) return;
    this.#ownRows();
    this.#disk?.writes().then((notes) => (notes.forEach((note) => this.#queue.take(note)), this.#queue.drain()), nothing);
    this.#sync.link?.hangUp();
    this.#queue.drain();
  }

  /** @param {any} message */
  #hear(message) {
    if (message.type === "write") {
      this.#queue.take(message.note);
      this.#queue.drain();
    } else if (message.type === "settled") this.#queue.hear(message.results);
    else if (message.type === "want" || message.type === "unwant") this.#tabs.isLeader && this.#subscriptions.hear(message);
    else if (message.type === "edit") this.#documents.hear(message);
    else if (message.type === "send") this.#tabs.isLeader && this.#sync.hear(message);
    else this.#sync.hear(message);
  }

  // ── How it stands ──────────────────────────────────────────────────────────────────────────────────────────────

  /** How the live connection stands. @returns {Status} */
  get status() {
    return this.#sync.status;
  }

  /** Why the server is in maintenance and until when, as far as it told; null when it is not. @returns {Maintenance|null} */
  get maintenance() {
    return this.status === "maintenance" ? this.#sync.maintenance : null;
  }

  /** The parts of the server that the operator has switched off, as far as they concern the caller. @returns {Switch[]} */
  get switches() {
    return this.#sync.switches.current;
  }

  /** The switch on an entity, a function, a way to sign in … that is off, else null. @param {import("./switches.js").SwitchScope} scope @param {string} [target] @returns {Switch|null} */
  switchOn(scope, target = "") {
    return this.switches.find((one) => one.scope === scope && one.target === target) ?? null;
  }

  /** The number of writes that the server has not confirmed yet, those of other tabs included. */
  get pending() {
    return this.#queue.writes.length;
  }

  /** The token in use, or null. */
  get token() {
    return this.#http.token;
  }

  /** Where rows and unconfirmed writes are kept. @returns {Storage} */
  get storage() {
    return this.#storage;
  }

  /** Whether this tab holds the socket of its browser. */
  get leads() {
    return this.#tabs.isLeader;
  }

  /** Calls `fn` with the status, and in maintenance with why, at once and whenever it changes. @param {(status: Status, maintenance: Maintenance|null) => void} fn @returns {() => void} stop */
  onStatus(fn) {
    const stop = listen(this.#listeners.status, fn);
    fn(this.status, this.maintenance);
    return stop;
  }

  /** Calls `fn` with what is switched off, at once and whenever that changes. @param {(switches: Switch[]) => void} fn @returns {() => void} stop */
  onSwitch(fn) {
    const stop = listen(this.#listeners.switches, fn);
    fn(this.switches);
    return stop;
  }

  /** Calls `fn` when the caller changes: signed in, out, revoked, other organisation. @param {(session: Session) => void} fn @returns {() => void} stop */
  onSession(fn) {
    return listen(this.#listeners.session, fn);
  }

  /** Calls `fn` at once and when rows and writes are kept elsewhere than before. @param {(storage: Storage) => void} fn @returns {() => void} stop */
  onStorage(fn) {
    const stop = listen(this.#listeners.storage, fn);
    fn(this.#storage);
    return stop;
  }

  /** Calls `fn` while the first rows come: how many have, and whether that is all. @param {(progress: {rows: number, done: boolean}) => void} fn @returns {() => void} stop */
  onProgress(fn) {
    const stop = listen(this.#listeners.progress, fn);
    fn(this.#progress);
    return stop;
  }

  /** Calls `fn` for each write that the server refused, also one that an earlier page made. @param {(error: PylonError, write: any) => void} fn @returns {() => void} stop */
  onError(fn) {
    return listen(this.#listeners.error, fn);
  }

  // ── Who is calling ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Who the server takes us for. @returns {Promise<Session>} */
  async me() {
    const { token } = this.#http;
    const session = /** @type {Session} */ (await this.#http.json("GET", "/api/auth/me"));
    if (token !== this.#http.token) return session;
    const before = this.user;
    const hasEnded = token !== null && session.user_id === null; // nothing is asked as nobody, until `use(null)`
    const changed = before ? before.user_id !== session.user_id || (before.tenant_id ?? null) !== (session.tenant_id ?? null) : hasEnded;
    this.user = session;
    if (!hasEnded) {
      this.#http.user = session.user_id ?? "";
      this.#remembered.keep(token, session);
      if (this.#owner !== undefined && this.#owner !== session.user_id) this.#depart(); // a cookie's session, or one that became another user's
      else if (this.#owner !== undefined) this.#hold(rightsOf(session));
    }
    this.#isVerified = !hasEnded && (this.#owner === undefined || this.#owner === session.user_id);
    if (changed) tellAll(this.#listeners.session, session);
    return session;
  }

  /** With other rights, other rows may be ours now. @param {string} rights */
  #hold(rights) {
    const isNews = this.#rights !== null && this.#rights !== rights;
    this.#rights = rights;
    if (isNews) this.#sync.refetch();
  }

  /** Our session if we have one, else a new guest's, remembered in this browser. @returns {Promise<Session>} */
  async guest() {
    if (this.token) {
      const session = await this.#meOrRemembered();
      if (session.user_id) return session;
    }
    return this.#oneAtATime(async () => {
      const { token } = this.#remembered; // of another tab, which asked at the same time
      if (token && token !== this.token && this.#options.token === undefined) return this.use(token);
      return this.use((await this.#http.json("POST", "/api/auth/guest", {})).token);
    });
  }

  /** Never in two tabs at once, where they can know. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  #oneAtATime(work) {
    return Tabs.areKnown ? navigator.locks.request(`pylon guest ${this.#options.app}`, work) : work();
  }

  async #meOrRemembered() {
    try {
      return await this.me();
    } catch (error) {
      const kept = this.#remembered.sessionOf(this.token);
      if (!kept || !(/** @type {PylonError} */ (error).status === 0 || /** @type {PylonError} */ (error).status >= 500)) throw error;
      return (this.user = kept);
    }
  }

  /** Signs in as any user, in dev mode or with an admin token. @param {string} userId @returns {Promise<Session>} */
  async session(userId) {
    return this.use((await this.#http.json("POST", "/api/auth/session", { user_id: userId })).token);
  }

  /** Goes on as the owner of `token` (null: as nobody) and remembers it in this browser. @param {string|null} token @returns {Promise<Session>} */
  async use(token) {
    if (token !== this.#http.token) this.#remembered.token = token;
    return this.#become(token);
  }

  /** @param {string|null} token */
  async #become(token) {
    if (token !== this.#http.token) {
      this.#http.token = token;
      this.#http.user = null;
      this.#depart();
    }
    return this.me();
  }

  /** Goes on as somebody else: nothing of the former caller stays here. */
  #depart() {
    this.#leave();
    tellAll(this.#listeners.frame, { type: "departed" });
    this.#documents.forget();
    this.#queue.abandon(new PylonError("SESSION_CHANGED", "The session changed before the server confirmed this write.", { hint: "It may or may not have been stored." }));
    this.#replica.clear();
    this.#sync.restart();
  }

  /** Lets go of the disk and the tabs of this caller. */
  #leave() {
    this.#turn += 1;
    this.#owner = undefined;
    this.#rights = null;
    this.#isVerified = false;
    this.#prepared = null;
    this.#isPrepared = false;
    this.#disk?.close();
    this.#disk = null;
    this.#tabs.close();
  }

  /** Ends the session on the server, and forgets it here with its rows, its unconfirmed writes and its documents. @returns {Promise<Session>} */
  async signOut() {
    await this.#http.json("DELETE", "/api/auth/session");
    const disk = this.#disk;
    const session = await this.use(null);
    this.#remembered.forget();
    await disk?.destroy();
    return session;
  }

  // ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Rows that stay current. `where` is an object (equality; an array means "one of") or a function;
   * `order` a field or fields, `-` first for descending; `limit` a number.
   * @template {Record<string, any>} [T=Row]
   * @param {string} entity @param {import("./filters.js").LiveOptions} [options] @returns {Live<T>}
   */
  live(entity, options = {}) {
    this.#sync.start();
    return new Live(this.#replica, entity, options);
  }

  /** One row of the replica as it is now, unconfirmed writes included. @param {string} entity @param {string} id @returns {Row|undefined} */
  get(entity, id) {
    this.#sync.start();
    return this.#replica.get(entity, id);
  }

  /** Holds only these entities, each with its filter (`{}` for all of its rows); null: all there are. Resolves when the rows are here.
   * @param {Record<string, Record<string, any>>|null} scope @returns {Promise<void>} */
  async scope(scope) {
    if (JSON.stringify(scope) === this.#scopeKey()) return;
    this.#sync.scope = scope;
    this.#leave(); // other tabs' sockets bring other rows than we want
    this.#sync.restart();
    if (!this.#sync.started) return;
    await new Promise((resolve) => {
      const stop = listen(this.#listeners.open, () => JSON.stringify(this.#sync.heldScope) === JSON.stringify(scope) && (stop(), resolve(undefined)));
    });
  }

  /** Shown at once, sent in order; rejects (and is taken back) if the server refuses. @param {string} entity @param {Record<string, any>} data @returns {Promise<import("./queue.js").Written>} */
  insert(entity, data) {
    const id = data.id ?? generateId();
    return this.#queue.write("insert", entity, id, { ...data, id });
  }

  /** As `insert`; `patch` holds the fields to set. @param {string} entity @param {string} id @param {Record<string, any>} patch @returns {Promise<import("./queue.js").Written>} */
  update(entity, id, patch) {
    return this.#queue.write("update", entity, id, patch);
  }

  /** As `insert`. @param {string} entity @param {string} id @returns {Promise<import("./queue.js").Written>} */
  delete(entity, id) {
    return this.#queue.write("delete", entity, id);
  }

  /** @param {import("./replica.js").Conflict} conflict @param {import("./replica.js").Write} write */
  #collide(conflict, write) {
    const merged = this.#options.onConflict?.(conflict);
    if (merged && this.#tabs.isLeader) this.#queue.amend(write, merged);
  }

  // ── Functions, rooms, documents ────────────────────────────────────────────────────────────────────────────────

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
   * @returns {AsyncGenerator<import("./streams.js").Frame, any>}
   */
  stream(name, args = {}, { signal } = {}) {
    return streamOf(this.#http, name, args, signal);
  }

  /** Asks for a page of rows that need not be in the replica. @param {string} entity @param {Record<string, any>} [query] as of `POST /api/query/<entity>` @returns {Promise<Row[]>} */
  query(entity, query = {}) {
    return this.#http.json("POST", `/api/query/${encodeURIComponent(entity)}`, query);
  }

  /** A query function's result, pushed whenever it changes. @param {string} name @param {Record<string, any>} [args] @returns {LiveFunction} */
  liveFn(name, args = {}) {
    return new LiveFunction(this.#subscriptions, (fn) => listen(this.#listeners.frame, fn), name, args);
  }

  /** A room, which is joined at once and again after each loss of the connection. @param {string} name @param {{data?: any}} [options] @returns {Room} */
  room(name, { data } = {}) {
    return new Room(this.#http, this.#subscriptions, (fn) => listen(this.#listeners.frame, fn), name, data);
  }

  /** A text that several people edit at once. @param {string} entity @param {string} id @param {string} field @returns {CollabText} */
  text(entity, id, field) {
    return new CollabText(this.#documents, entity, id, field);
  }

  /** Closes the connection. Writes not confirmed by then are rejected; those on disk are sent when the page is open again. */
  close() {
    this.#queue.abandon(new PylonError("CLOSED", "The connection was closed before the server confirmed this write."));
    void this.#disk?.flush();
    this.#sync.close();
    this.#leave();
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** A row we may write but not read never comes back to us: a pull moves the cursor past it. @param {number} seq */
  #awaitEcho(seq) {
    if (this.#sync.started) this.#sync.reach(seq);
    else this.#replica.outdate(); // nobody watches: there is nothing to lay writes over
  }

  /** Asks who we are: a dead token is forgotten, a living one keeps its place. @param {boolean} [isNew] the rows are being fetched anew already */
  async #reviewSession(isNew = false) {
    if (isNew) this.#rights = null;
    const { token } = this;
    const session = await this.me();
    if (token && session.user_id === null) await this.#end(token);
  }

  /** This token's session has ended: go on as nobody, and openly. @param {string} token */
  async #end(token) {
    if (token !== this.token) return;
    if (this.#remembered.token === token) this.#remembered.token = null;
    await this.#become(null);
  }
}

/** @param {import("./replica.js").Write} write @returns {import("./queue.js").Note} */
const noteOf = ({ order, op_id, entity, row_id, kind, data }) => ({ order, op_id, entity, row_id, kind, data });

/** What decides which rows a user may read, beside who it is. @param {Session} session */
const rightsOf = ({ tenant_id, roles, is_admin }) => JSON.stringify([tenant_id ?? null, [...roles].sort(), is_admin]);

/**
 * Connects to a Pylon server: by default the one that served the page, as whoever this browser last was.
 * Nothing is sent before the first `live()`, write or call.
 * @param {Options} [options] `app` keeps the tokens and rows of several apps on one origin apart
 * @returns {Database}
 */
export function connect(options = {}) {
  return new Database(options);
}
