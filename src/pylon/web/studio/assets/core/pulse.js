// @ts-check
// The server's pulse: one poll of the overview for the whole app, and the last ten minutes of it for the charts. It rests
// while the page is hidden and fills the gap from the server's own history afterwards.

import { ApiError, get } from "./api.js";

const EVERY_MS = 2000;
const KEPT = 300;

/** What the charts draw, by name; each point of a series belongs to the time of the same index. */
const NAMES = ["requests", "errors", "writes", "deliveries", "reads", "p99", "wal", "sockets", "disk", "lag"];

/** @param {any} o an overview @returns {Record<string, number|null>} */
function point(o) {
  return {
    ...o.rates,
    p99: o.latency_ms?.p99 ?? null,
    wal: o.wal?.bytes ?? null,
    sockets: (o.sockets?.ws ?? 0) + (o.sockets?.sse ?? 0),
    disk: o.disk?.free_bytes ?? null,
    lag: o.process?.loop_lag_ms ?? null,
  };
}

class Pulse extends EventTarget {
  /** @type {any} */ latest = null;
  /** @type {"waiting"|"live"|"paused"|"lost"|"failing"|"missing"} */ state = "waiting";
  /** When the latest answer came, in ms. */ heard = 0;
  /** @type {number[]} */ times = [];
  /** @type {Record<string, (number|null)[]>} */ series = Object.fromEntries(NAMES.map((name) => [name, []]));
  /** @type {any} */ #timer = 0;
  #running = 0;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => { if (this.#running) this.#turn(this.#running); });
  }

  start() {
    this.#turn(++this.#running);
  }

  stop() {
    this.#running = 0;
    clearTimeout(this.#timer);
    this.#become("waiting");
  }

  /** Asks now, for instance after an operator did something. */
  refresh() {
    if (this.#running) this.#turn(this.#running);
  }

  /** Calls back with each overview, and at once with the latest. @param {(o: any) => void} callback @param {AbortSignal} signal */
  follow(callback, signal) {
    const heard = () => { if (this.latest) callback(this.latest); };
    this.addEventListener("beat", heard, { signal });
    heard();
  }

  /** @param {number} run */
  async #turn(run) {
    clearTimeout(this.#timer);
    run = ++this.#running;
    if (document.hidden) return this.#become("paused");
    const gap = Date.now() - this.heard > 5 * EVERY_MS;
    try {
      const overview = await get(gap ? "/api/admin/overview?history=1" : "/api/admin/overview");
      if (run !== this.#running) return;
      if (overview.history) this.#load(overview);
      this.#add(overview);
      this.latest = overview;
      this.heard = Date.now();
      this.#become("live");
    } catch (error) {
      if (run !== this.#running) return;
      const status = error instanceof ApiError ? error.status : 0;
      this.#become(status === 404 ? "missing" : status ? "failing" : "lost");
    }
    this.dispatchEvent(new Event("beat"));
    this.#timer = setTimeout(() => this.#turn(run), EVERY_MS);
  }

  /** @param {any} overview */
  #load({ at, history }) {
    const lists = { ...history.rates, p99: history.latency_p99_ms, wal: history.wal_bytes, sockets: history.sockets,
      disk: history.disk_free_bytes, lag: history.loop_lag_ms };
    const length = Math.max(0, ...Object.values(lists).map((list) => list?.length ?? 0));
    this.times = Array.from({ length }, (_, i) => at - (length - i) * history.seconds);
    for (const name of NAMES) {
      const list = /** @type {any} */ (lists)[name];
      this.series[name] = list ? [...Array(length - list.length).fill(null), ...list] : Array(length).fill(null);
    }
  }

  /** @param {any} overview */
  #add(overview) {
    if (this.times.length && overview.at <= this.times[this.times.length - 1]) return;
    const values = point(overview);
    this.times.push(overview.at);
    for (const name of NAMES) this.series[name].push(values[name] ?? null);
    if (this.times.length > KEPT) {
      this.times.shift();
      for (const name of NAMES) this.series[name].shift();
    }
  }

  /** @param {Pulse["state"]} state */
  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

export const pulse = new Pulse();
