// @ts-check
/**
 * The documents behind rows whose edits merge (Loro), as this tab has them open. An edit shows at once, lies on disk a
 * moment later, and is sent until the server has it; what the server and other tabs bring is merged in.
 */
import { errorOf, isPassing, PylonError } from "./errors.js";
import { tellAll } from "./listeners.js";
import { asked, backoff, later, nothing } from "./waiting.js";

const KEEP_MS = 200; //  a document is written to disk at once, and then at most so often

/** @type {Promise<any>|null} */
let loading = null;

/** Loro, fetched when the first document is opened. @returns {Promise<any>} */
export function loadLoro() {
  loading ??= (async () => {
    const loro = await import("./vendor/loro/index.js");
    await loro.default({ module_or_path: new URL("./vendor/loro/loro_wasm_bg.wasm", import.meta.url) });
    return loro;
  })().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** @param {Uint8Array} bytes */
const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether the server has looked at the edit and does not want it. A session that has ended (401) says nothing of it. @param {PylonError} error */
const isJudgement = (error) => !isPassing(error) && error.status !== 401;

/** Splits a binary frame: type, entity, row, payload; null for anything else. @param {ArrayBuffer} data */
export function readFrame(data) {
  const bytes = new Uint8Array(data);
  if (bytes.length < 5 || (bytes[0] !== 0x10 && bytes[0] !== 0x11)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entityEnd = 3 + view.getUint16(1);
  if (entityEnd + 2 > bytes.length) return null;
  const idEnd = entityEnd + 2 + view.getUint16(entityEnd);
  if (idEnd > bytes.length) return null;
  const text = new TextDecoder();
  return { type: bytes[0], entity: text.decode(bytes.subarray(3, entityEnd)), id: text.decode(bytes.subarray(entityEnd + 2, idEnd)), payload: bytes.subarray(idEnd) };
}

export class Documents {
  /** @type {Map<string, {document: Document, users: number}>} */ open = new Map();

  /** @param {import("./http.js").Http} http @param {import("./subscriptions.js").Subscriptions} subscriptions
   * @param {{disk: () => import("./disk.js").Disk|null, prepare: () => Promise<void>, share: (message: any) => void}} hooks */
  constructor(http, subscriptions, hooks) {
    this.http = http;
    this.subscriptions = subscriptions;
    this.hooks = hooks;
  }

  /** @param {string} entity @param {string} id */
  acquire(entity, id) {
    const key = `${entity}\n${id}`;
    const held = this.open.get(key) ?? { document: new Document(this, entity, id), users: 0 };
    held.users += 1;
    this.open.set(key, held);
    return held.document;
  }

  /** @param {Document} document */
  release(document) {
    const held = this.open.get(document.key);
    if (held?.document !== document || (held.users -= 1)) return;
    this.open.delete(document.key);
    document.close();
  }

  /** @param {ArrayBuffer} data */
  receive(data) {
    const frame = readFrame(data);
    if (frame) this.open.get(`${frame.entity}\n${frame.id}`)?.document.receive(frame.payload);
  }

  /** Another tab edited. @param {{key: string, update: Uint8Array}} message */
  hear({ key, update }) {
    this.open.get(key)?.document.take(update);
  }

  /** The connection is back. */
  push() {
    for (const { document } of this.open.values()) document.push();
    const disk = this.hooks.disk();
    if (disk) this.recover(disk).catch(nothing);
  }

  /** Sends edits that an earlier page left behind, without opening their documents. @param {import("./disk.js").Disk} disk */
  async recover(disk) {
    for (const [key, kept] of await disk.documents()) {
      if (!kept.unsent || this.open.has(key)) continue;
      const error = await this.post(key, kept.unsent);
      if (!error || isJudgement(error)) disk.put("documents", key, { ...kept, unsent: null });
    }
  }

  /** @param {string} key @param {Uint8Array} update @returns {Promise<PylonError|null>} */
  async post(key, update) {
    try {
      const path = key.split("\n").map(encodeURIComponent).join("/");
      const response = await this.http.send("POST", `/api/crdt/${path}`, { update: hexOf(update) }, { signal: AbortSignal.timeout(60_000) });
      return response.ok ? null : await errorOf(response);
    } catch (error) {
      return error instanceof PylonError ? error : new PylonError("NETWORK", "The server could not be reached.", { cause: error });
    }
  }

  /** Somebody else asks now. */
  forget() {
    for (const { document } of this.open.values()) document.reset();
  }
}

export class Document {
  /** @type {any} */ loro = null;
  /** @type {any} */ doc = null;
  /** What the server has, by peer; null before we know. @type {Map<string, number>|null} */ known = null;
  /** @type {PylonError|null} */ error = null;
  /** Called after something came from outside; between the two calls the document changes. @type {Set<{before: () => void, after: () => void}>} */ listeners = new Set();
  /** While positive, what comes waits in `waiting`. */ holds = 0;
  /** @type {{bytes: Uint8Array, isServer: boolean}[]} */ waiting = [];
  isPushing = false;
  isClosed = false;
  /** @type {any} */ timer = null;
  /** There were edits here, or on disk, before we knew what the server has. */ isEdited = false;
  keptAt = 0;
  failures = 0;

  /** @param {Documents} all @param {string} entity @param {string} id */
  constructor(all, entity, id) {
    this.all = all;
    this.key = `${entity}\n${id}`;
    const named = { entity, rowId: id };
    all.subscriptions.add(`crdt ${this.key}`, { on: { type: "crdt-subscribe", ...named }, off: { type: "crdt-unsubscribe", ...named } });
    this.loaded = this.load().catch((error) => {
      this.fail(new PylonError("LORO_UNAVAILABLE", "The module for shared texts could not be loaded.", { cause: error }));
    });
    globalThis.addEventListener?.("pagehide", (this.keepNow = () => this.keep()));
  }

  /** Whether there is something to show and edit. */
  get isReady() {
    return this.doc !== null;
  }

  async load() {
    const [loro] = await Promise.all([loadLoro(), this.all.hooks.prepare().catch(nothing)]);
    this.loro = loro;
    const kept = await this.all.hooks.disk()?.document(this.key);
    this.isEdited ||= Boolean(kept?.unsent);
    if (kept?.snapshot) this.merge([{ bytes: kept.snapshot, isServer: false }]);
    this.flush();
  }

  /** From the server. @param {Uint8Array} bytes */
  receive(bytes) {
    this.waiting.push({ bytes, isServer: true });
    this.flush();
  }

  /** From another tab. @param {Uint8Array} bytes */
  take(bytes) {
    if (!this.doc) return; // it will be on disk, or come from the server
    this.waiting.push({ bytes, isServer: false });
    this.flush();
  }

  /** Nothing comes in between, until it is let go: a person is composing a character. @returns {() => void} */
  hold() {
    this.holds += 1;
    return () => {
      this.holds -= 1;
      this.flush();
    };
  }

  flush() {
    if (!this.loro || this.holds || !this.waiting.length) return;
    this.merge(this.waiting.splice(0));
    this.push();
  }

  /** @param {{bytes: Uint8Array, isServer: boolean}[]} updates */
  merge(updates) {
    for (const { before } of this.doc ? this.listeners : []) before();
    this.doc ??= new this.loro.LoroDoc();
    for (const { bytes, isServer } of updates) {
      if (!bytes.length) continue;
      try {
        const meta = isServer ? this.loro.decodeImportBlobMeta(bytes, false) : null;
        // With nothing of ours to keep, the server's document takes the place of ours: the row may have been deleted and
        // made again, or restored, and then the two have no history in common.
        if (meta?.mode.includes("snapshot") && !this.hasEdits) this.doc = new this.loro.LoroDoc();
        this.doc.import(bytes);
        if (meta) this.learn(meta.partialEndVersionVector);
      } catch (error) {
        console.warn("pylon: a document's update could not be read", error);
      }
    }
    this.tell();
    this.keepSoon();
  }

  /** @param {any} version */
  learn(version) {
    this.known ??= new Map();
    for (const [peer, counter] of version.toJSON()) this.known.set(peer, Math.max(counter, this.known.get(peer) ?? 0));
  }

  tell() {
    tellAll([...this.listeners].map(({ after }) => after), undefined);
  }

  /** Makes an edit of ours. @param {() => void} change */
  edit(change) {
    this.isEdited = true;
    const from = this.doc.oplogVersion();
    change();
    this.doc.commit();
    const update = this.doc.export({ mode: "update", from });
    this.all.hooks.share({ type: "edit", key: this.key, update });
    this.keepSoon();
    queueMicrotask(() => this.push()); // edits of one turn travel together
  }

  /** Whether there are edits here that the server has not got, as far as we know. */
  get hasEdits() {
    return this.known ? !this.isSaved : this.isEdited;
  }

  /** Whether the server has everything that is here. */
  get isSaved() {
    if (!this.doc) return true;
    return [...this.doc.oplogVersion().toJSON()].every(([peer, counter]) => counter <= (this.known?.get(peer) ?? 0));
  }

  /** What the server has not got, null if it has everything. @returns {Uint8Array|null} */
  unsent() {
    return this.doc && !this.isSaved ? this.doc.export({ mode: "update", from: this.known ? new this.loro.VersionVector(this.known) : undefined }) : null;
  }

  /** Sends what the server has not got, until it has. */
  async push() {
    if (this.isPushing || !this.known || this.isClosed) return;
    this.isPushing = true;
    for (let update = this.unsent(); update; update = this.unsent()) {
      const doc = this.doc;
      const version = doc.oplogVersion();
      const error = await this.all.post(this.key, update);
      if (doc !== this.doc) break;
      if (!error) {
        this.failures = 0;
        this.learn(version);
        this.keepSoon();
        this.fail(null);
      } else if (!isJudgement(error)) {
        this.failures += 1;
        later(() => this.push(), Math.max(backoff(this.failures), asked(error.retryAfter)));
        break;
      } else {
        this.fail(error); // refused: what the server has is what there is
        this.reset();
        break;
      }
    }
    this.isPushing = false;
  }

  /** @param {PylonError|null} error */
  fail(error) {
    this.error = error;
    this.tell();
  }

  /** Starts over from what the server has. */
  reset() {
    clearTimeout(this.timer);
    this.timer = null;
    this.all.hooks.disk()?.put("documents", this.key, undefined);
    for (const { before } of this.listeners) before();
    [this.doc, this.known, this.waiting, this.isEdited] = [null, null, [], false];
    this.tell();
    const subscription = this.all.subscriptions.own.get(`crdt ${this.key}`);
    if (subscription && this.all.subscriptions.sync.isOpen) this.all.subscriptions.begin(`crdt ${this.key}`, subscription);
  }

  keepSoon() {
    if (Date.now() - this.keptAt >= KEEP_MS) this.keep();
    else this.timer ??= later(() => this.keep(), KEEP_MS);
  }

  keep() {
    clearTimeout(this.timer);
    this.timer = null;
    this.keptAt = Date.now();
    if (this.doc) this.all.hooks.disk()?.put("documents", this.key, { snapshot: this.doc.export({ mode: "snapshot" }), unsent: this.unsent() });
  }

  close() {
    this.isClosed = true;
    if (this.timer) this.keep();
    globalThis.removeEventListener?.("pagehide", /** @type {any} */ (this.keepNow));
    this.all.subscriptions.remove(`crdt ${this.key}`);
    this.listeners.clear();
  }
}
