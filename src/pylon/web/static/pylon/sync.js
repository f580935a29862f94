// @ts-check
/**
 * Keeps the replica current, for ever. No change is missed: the link is open, and what it brings is held back, before the
 * pull that closes the gap starts; what was held is applied behind it. The link is a socket, or the leading tab's.
 *
 * @typedef {"connecting"|"live"|"offline"|"maintenance"|"blocked"} Status
 * @typedef {import("./errors.js").Maintenance} Maintenance
 * @typedef {import("./replica.js").Change} Change
 * @typedef {Record<string, Record<string, any>>|null} Scope  Which entities to hold, each with a filter; null: all there are.
 */
import { maintenanceOf, networkError, PylonError } from "./errors.js";
import { randomText } from "./ids.js";
import { place, tableOf } from "./replica.js";
import { Socket } from "./socket.js";
import { parsed } from "./streams.js";
import { Switches } from "./switches.js";
import { TabLink } from "./tabs.js";
import { asked, backoff, later, nothing } from "./waiting.js";

const PAGE_ROWS = 1000; //        rows in one page of a snapshot
const HELD_EVENTS = 10_000; //    live events held during a pull; beyond it they are dropped and pulled again
const STEADY_MS = 5_000; //       a socket that lived shorter counts as a failed attempt
const CHECKUP_MS = 60_000; //     how often a quiet connection is compared with the server
const SETTLE_MS = 1_000; //      within which somebody new on an open socket is told what is switched off
const ECHO_MS = 2_000; //         how long a confirmed write may wait for its own event before we pull

export class Sync {
  /** @type {Status} */ status = "connecting";
  started = false;
  closed = false;
  /** Counts callers: an answer that began under an earlier epoch is thrown away. */ epoch = 0;
  /** While positive, live events wait in `held`. */ holders = 0;
  /** @type {Change[]} */ held = [];
  overflowed = false;
  /** @type {Socket|TabLink|null} */ link = null;
  /** Names our socket to the tabs that follow. */ socketName = "";
  /** @type {Promise<void>} */ pulling = Promise.resolve();
  pulledHead = 0;
  /** The link is open and nothing is missing. */ current = false;
  /** @type {Maintenance|null} */ maintenance = null;
  /** Milliseconds after which the server asked us to come back, 0 if it did not. */ comeBackIn = 0;
  /** What the caller wants to hold. @type {Scope} */ scope = null;
  /** What the base holds. @type {Scope} */ heldScope = null;
  wake = nothing;

  /**
   * @param {import("./http.js").Http} http @param {import("./replica.js").Replica} replica @param {import("./tabs.js").Tabs} tabs
   * @param {{prepare: () => Promise<void>, status: (status: Status) => void, open: () => void, ended: () => void, live: () => void, retry: () => void, session: (isNew?: boolean) => Promise<void>,
   *   frame: (frame: any) => void, binary: (data: ArrayBuffer) => void, switches: (switches: import("./switches.js").Switch[]) => void, progress: (rows: number, done: boolean) => void}} hooks
   */
  constructor(http, replica, tabs, hooks) {
    this.http = http;
    this.replica = replica;
    this.tabs = tabs;
    this.hooks = hooks;
    this.switches = new Switches((switches) => this.switched(switches));
  }

  get isOpen() {
    return this.link?.isOpen ?? false;
  }

  /** @param {any} frame */
  send(frame) {
    if (this.isOpen) this.link?.send(frame);
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
      const { code, livedMs, maintenance, error, follows } = await this.session();
      if (this.closed) return;
      if (epoch !== this.epoch) {
        attempt = 0; // somebody signed in or out: no failure, go on at once
        this.become("connecting");
        continue;
      }
      if (follows && !error) {
        if (this.status === "live") this.become("connecting"); // the leader reconnects, and tells how it stands
        attempt = 0;
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

  /** One link from opening to end. @returns {Promise<{code: number, livedMs: number, follows: boolean, maintenance?: Maintenance|null, error?: PylonError}>} */
  async session() {
    this.held = [];
    this.holders += 1;
    this.comeBackIn = 0;
    let holding = true;
    let follows = false;
    const epoch = this.epoch;
    try {
      await this.hooks.prepare();
      if (epoch !== this.epoch || this.closed) return { code: 0, livedMs: 0, follows };
      follows = !this.tabs.isLeader;
      const link = (this.link = this.connect());
      this.switches.begin();
      if (this.replica.needsSnapshot) this.catchUp().catch(nothing); // first rows while the socket is still opening
      try {
        await link.opened;
      } catch (error) {
        if (follows) return { code: 0, livedMs: 0, follows }; // we lead now, or are gone
        await this.catchUp(); // tells why (maintenance, rate limit), and without a socket polling is better than nothing
        throw error;
      }
      const openedAt = Date.now();
      for (const frame of link.switches) this.switches.note(frame);
      if (!follows) this.tabs.post({ type: "up", socket: (this.socketName = randomText()) });
      this.hooks.open();
      await this.catchUp();
      link.seen = this.replica.cursor;
      holding = false;
      this.release();
      this.current = true;
      this.switches.show();
      this.become(link.maintenance ? "maintenance" : "live", link.maintenance);
      this.hooks.live();
      const code = await link.ended;
      return { code, livedMs: Date.now() - openedAt, follows, maintenance: link.maintenance };
    } catch (raised) {
      this.held = []; // there is a gap before them: the next pull brings them
      const error = raised instanceof PylonError ? raised : networkError(raised);
      return { code: 0, livedMs: 0, follows, maintenance: error.maintenance, error };
    } finally {
      this.current = false;
      if (this.link && !follows) this.tabs.post({ type: "down" });
      this.link?.hangUp();
      this.link = null;
      this.hooks.ended();
      if (holding) this.release();
    }
  }

  connect() {
    if (!this.tabs.isLeader) return new TabLink(this.tabs, (from, data) => this.receive(from, data));
    const url = `${this.http.base.replace(/^http/, "ws")}/api/sync/ws`;
    const query = this.scope ? `?scope=${encodeURIComponent(JSON.stringify(this.scope))}` : "";
    return new Socket(url + query, this.http.token, (from, data) => {
      if (from === this.link && this.tabs.followers.size) this.tabs.post({ type: "frame", data });
      this.receive(from, data);
    });
  }

  /** @param {Socket|TabLink} from @param {string|ArrayBuffer} data */
  receive(from, data) {
    if (from !== this.link) return;
    if (typeof data !== "string") return this.hooks.binary(data);
    const frame = parsed(data);
    if (!frame) return;
    if (frame.seq && frame.entity && frame.kind) {
      from.seen = Math.max(from.seen, frame.seq);
      if (!this.holders) this.replica.apply(frame);
      else if (this.held.length < HELD_EVENTS) this.held.push(frame);
      else this.overflowed = true;
    } else if (frame.type === "session-changed") {
      this.switches.begin();
      later(() => this.current && this.switches.show(), SETTLE_MS);
      this.refetch();
      this.hooks.session(true).catch(nothing);
    } else if (frame.type === "reconnect") this.comeBackIn = Math.max(1, Number(frame.after_ms) || 0);
    else if (frame.type === "maintenance") this.maintain(from, frame);
    else if (frame.type === "switch") {
      this.switches.note(frame);
      if (this.current) this.switches.show();
    }
    else this.hooks.frame(frame);
  }

  /** The server goes into maintenance, and closes the socket next unless it only refuses writes; or it is over.
   * @param {Socket|TabLink} from @param {{on: boolean, scope?: string, reason?: string, retry_after?: number, until?: number|null}} frame */
  maintain(from, frame) {
    from.maintenance = frame.on ? maintenanceOf(frame.reason ?? "", frame) : null;
    this.comeBackIn = frame.on ? asked(Number(frame.retry_after) || 0) : 0;
    if (from.maintenance) this.become("maintenance", from.maintenance);
    else if (this.current && this.maintenance) {
      this.become("live");
      later(() => this.hooks.live(), Math.random() * 1_000); // not everybody's writes at once
    }
  }

  /** Something was switched off, or works again. @param {import("./switches.js").Switch[]} switches */
  switched(switches) {
    this.hooks.switches(switches);
    if (this.current) later(() => this.hooks.retry(), Math.random() * 1_000); // writes may have waited for it, though not everybody's at once
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
          else {
            await this.pullScope(epoch);
            await this.pullDelta(epoch);
          }
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
    const scope = this.scope;
    const page = await this.pages(scope, epoch);
    if (!page) return;
    this.heldScope = scope;
    this.replica.replace(page.base, page.cursor.last_seq);
    if (page.has_more && page.cursor.last_seq > 0) await this.pullDelta(epoch);
  }

  /** Every row of a scope, page by page; null when somebody else asks meanwhile. @param {Scope} scope @param {number} epoch */
  async pages(scope, epoch) {
    /** @type {import("./replica.js").Tables} */
    const base = new Map();
    let page;
    let after = "";
    let rows = 0;
    do {
      page = await this.page(`since=0&page_size=${PAGE_ROWS}${after && `&snapshot_after=${after}`}`, scope);
      if (epoch !== this.epoch) return null;
      for (const change of page.changes) place(tableOf(base, change.entity), change);
      after = page.snapshot_after ?? "";
      this.hooks.progress((rows += page.changes.length), !after);
    } while (after);
    return { ...page, base };
  }

  /** The scope is another than that of the base: drop what is out of it, fetch what is new in it; what stays is kept. @param {number} epoch */
  async pullScope(epoch) {
    const [scope, had] = [this.scope, this.heldScope];
    if (JSON.stringify(scope) === JSON.stringify(had)) return;
    if (!scope) return this.pullSnapshot(epoch);
    const isNew = ([name, filter]) => (had ? JSON.stringify(had[name]) : "{}") !== JSON.stringify(filter);
    const added = Object.fromEntries(Object.entries(scope).filter(isNew));
    const page = Object.keys(added).length ? await this.pages(added, epoch) : { base: new Map() };
    if (!page) return;
    this.heldScope = scope;
    this.replica.exchange([...this.replica.base.keys()].filter((name) => !(name in scope) || name in added), page.base);
  }

  /** @param {number} epoch */
  async pullDelta(epoch) {
    for (let more = true; more; ) {
      const since = this.replica.cursor;
      const page = await this.page(`since=${since}`, this.heldScope);
      if (epoch !== this.epoch) return;
      for (const change of page.changes) this.replica.apply(change);
      this.pulledHead = page.changes.at(-1)?.seq ?? this.pulledHead;
      this.replica.advance(page.cursor.last_seq);
      more = page.has_more && this.replica.cursor > since;
    }
  }

  /** @param {string} query @param {Scope} scope */
  page(query, scope) {
    return this.http.json("GET", `/api/sync/pull?${query}${scope ? `&scope=${encodeURIComponent(JSON.stringify(scope))}` : ""}`);
  }

  /** A half-open socket looks healthy from here: if a pull brings what the socket does not, replace the socket. */
  async checkUp() {
    const link = this.link;
    if (!link || !this.current) return;
    await this.catchUp().catch(() => link.hangUp());
    later(() => link === this.link && link.seen < this.pulledHead && link.hangUp(), 5_000);
  }

  /** Resolves when the replica has reached `seq`; pulls if the event does not come by itself. @param {number} seq */
  async reach(seq) {
    if (this.current && this.replica.cursor < seq) await this.replica.reached(seq, ECHO_MS);
    if (this.current && this.replica.cursor < seq) await this.catchUp().catch(nothing);
  }

  /** A tab that follows, or the one that leads, says something. @param {any} message */
  hear(message) {
    if (this.tabs.isLeader && (message.type === "join" || message.type === "ping")) {
      this.start(); // it needs our socket, though we may not
      this.tabs.post({ type: "status", to: message.from, status: this.status, maintenance: this.maintenance });
      if (this.isOpen) this.tabs.post({ type: "up", to: message.from, socket: this.socketName, switches: this.switches.frames });
    } else if (message.type === "send") this.send(message.frame);
    else if (message.type === "status" && message.lead && !this.tabs.isLeader && !this.current) this.become(message.status === "live" ? "connecting" : message.status, message.maintenance);
  }

  /** Same link, other rights: fetch all rows anew. */
  refetch() {
    this.epoch += 1;
    this.replica.clear();
    const { link } = this;
    if (link && this.current) this.catchUp().catch(() => link.hangUp());
  }

  /** Another caller, or another scope, from now on: connect anew. */
  restart() {
    this.epoch += 1;
    this.link?.hangUp();
    this.wake();
    if (this.started) this.become("connecting");
  }

  /** The network came or went: find out now rather than later. */
  nudge() {
    if (this.tabs.isLeader) this.link?.hangUp();
    this.wake();
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.switches.close();
    this.link?.hangUp();
    this.wake();
  }

  /** @param {Status} status @param {Maintenance|null} [maintenance] */
  become(status, maintenance = null) {
    const isNews = status !== this.status || String(maintenance?.reason) !== String(this.maintenance?.reason);
    this.status = status;
    this.maintenance = maintenance;
    if (!isNews) return;
    this.hooks.status(status);
    if (this.tabs.isLeader && this.tabs.followers.size) this.tabs.post({ type: "status", status, maintenance });
  }
}

/** @param {PylonError} error @returns {Status} */
const statusAfter = ({ code }) => (code === "BLOCKED" ? "blocked" : "offline");
