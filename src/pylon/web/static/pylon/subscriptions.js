// @ts-check
/**
 * What the socket was asked for beyond the rows: rooms, documents, live functions. Asked again on every new link, and
 * ended on the shared socket only when no tab wants it any more.
 *
 * @typedef {{on: any, off: any, prepare?: () => Promise<void>, after?: {path: string, body: any}}} Subscription
 *   `on` and `off` are frames; `after` is a request to make when the last tab has left.
 */
import { nothing } from "./waiting.js";

export class Subscriptions {
  /** @type {Map<string, Subscription>} */ own = new Map();
  /** What other tabs want of our socket. @type {Map<string, {off: any, after: any, tabs: Set<string>}>} */ others = new Map();

  /** @param {import("./sync.js").Sync} sync @param {import("./tabs.js").Tabs} tabs @param {import("./http.js").Http} http */
  constructor(sync, tabs, http) {
    this.sync = sync;
    this.tabs = tabs;
    this.http = http;
  }

  /** @param {string} key @param {Subscription} subscription */
  add(key, subscription) {
    this.own.set(key, subscription);
    this.sync.start();
    if (this.sync.isOpen) this.begin(key, subscription);
  }

  /** @param {string} key */
  remove(key) {
    const subscription = this.own.get(key);
    if (!subscription) return;
    const { off, after } = subscription;
    this.own.delete(key);
    if (this.tabs.isLeader) this.end(key, off, after);
    else this.tabs.post({ type: "unwant", key, off, after });
  }

  /** A new link is open. */
  resume() {
    for (const [key, subscription] of this.own) this.begin(key, subscription);
  }

  /** @param {string} key @param {Subscription} subscription */
  async begin(key, subscription) {
    try {
      await subscription.prepare?.();
    } catch {
      return; // it has told its owner, and is begun again with the next link
    }
    if (this.own.get(key) !== subscription) return;
    const { on, off, after } = subscription;
    if (this.tabs.isLeader) this.sync.send(on);
    else this.tabs.post({ type: "want", key, on, off, after });
  }

  /** A following tab wants something, or no longer. @param {any} message */
  hear({ type, key, on, off, after, from }) {
    if (type === "want") {
      const other = this.others.get(key) ?? { off, after, tabs: new Set() };
      other.tabs.add(from);
      this.others.set(key, other);
      this.sync.send(on);
    } else this.gone(from, key, off, after);
  }

  /** A tab wants it no more, or is gone altogether. @param {string} tab @param {string} [only] @param {any} [off] @param {any} [after] */
  gone(tab, only, off, after) {
    for (const [key, other] of [...this.others]) {
      if ((only && only !== key) || !other.tabs.delete(tab)) continue;
      if (!other.tabs.size) this.others.delete(key);
      this.end(key, off ?? other.off, after ?? other.after);
    }
  }

  /** @param {string} key @param {any} off @param {any} after */
  end(key, off, after) {
    if (this.own.has(key) || this.others.has(key)) return;
    this.sync.send(off);
    if (after) this.http.send("POST", after.path, after.body, { keepalive: true }).catch(nothing);
  }
}
