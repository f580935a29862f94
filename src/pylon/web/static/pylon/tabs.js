// @ts-check
/**
 * The tabs of one browser that show the same rows share one socket: a lock chooses the tab that leads, a channel carries
 * to the others what its socket brings. To a tab that follows, that is just another link: it opens, brings frames, ends,
 * and what is missing in between is pulled by cursor. Where the browser has no locks, every tab leads itself.
 */
import { randomText } from "./ids.js";
import { later, nothing } from "./waiting.js";

const PING_MS = 10_000; //    how often a tab that is looked at asks whether the leader is still there
const ANSWER_MS = 2_500; //   how long an answer may take
const LATE_MS = 1_000; //     a timer that comes later than this: it was us who slept
const ASKS = 2; //            a leader that answers none of so many in a row is frozen, and loses the lead

export class Tabs {
  id = randomText() + randomText();
  isLeader = true;
  /** @type {BroadcastChannel|null} */ channel = null;
  /** @type {Set<string>} */ followers = new Set();
  /** @type {TabLink|null} */ link = null;
  /** When the leader last said something. */ heardAt = 0;
  #stop = new AbortController();
  #name = "";
  #release = nothing;
  /** Our place in the line of those who would lead. @type {AbortController|null} */ #place = null;

  /** @param {{lead: () => void, demoted: () => void, heard: (message: any) => void, gone: (tab: string) => void}} hooks */
  constructor(hooks) {
    this.hooks = hooks;
  }

  /** Whether this is a browser that lets tabs agree. */
  static get areKnown() {
    return Boolean(globalThis.location && globalThis.navigator?.locks && globalThis.BroadcastChannel);
  }

  /** Joins the tabs of this name; resolves when it is known who leads. @param {string} name @returns {Promise<void>} */
  async join(name) {
    this.#name = name;
    this.#stop = new AbortController();
    this.isLeader = false;
    this.channel = new BroadcastChannel(`pylon ${name}`);
    this.channel.onmessage = ({ data }) => this.#hear(data);
    this.#alive(this.id, nothing);
    await this.#lead({ ifAvailable: true });
    if (!this.isLeader) this.#lineUp();
  }

  /** Leads when all before us in the line are gone. We stand in it once: a place left over from before would hand the
   * lead to ourselves when we give it away. */
  #lineUp() {
    this.#leaveLine();
    this.#place = new AbortController();
    this.#lead({ signal: this.#place.signal });
  }

  #leaveLine() {
    this.#place?.abort();
    this.#place = null;
  }

  /** Waits for a tab's lock: forever, if it is our own; until the tab is gone, if not. @param {string} tab @param {() => void} gone */
  #alive(tab, gone) {
    const held = () => (tab === this.id ? new Promise((resolve) => this.#stop.signal.addEventListener("abort", resolve)) : gone());
    navigator.locks.request(`pylon tab ${tab}`, { signal: this.#stop.signal }, held).catch(nothing);
  }

  /** @param {LockOptions} options @returns {Promise<void>} resolves when we lead, or will not for now */
  #lead(options) {
    const stop = this.#stop;
    let hasLed = false;
    return new Promise((resolve) => {
      const held = (/** @type {Lock|null} */ lock) => {
        if (!lock || stop.signal.aborted) return resolve();
        this.isLeader = hasLed = true;
        this.followers.clear();
        resolve();
        this.hooks.lead();
        return new Promise((release) => {
          this.#release = () => release(undefined);
          stop.signal.addEventListener("abort", this.#release);
        });
      };
      navigator.locks.request(`pylon leader ${this.#name}`, options, held).catch(() => {
        resolve();
        if (stop.signal.aborted || !this.isLeader || !hasLed) return;
        this.#follow(); // another tab took the lead: we did not answer
      });
    });
  }

  #follow() {
    this.isLeader = false;
    this.hooks.demoted();
    this.#lineUp();
  }

  /** The browser is about to freeze this tab: whoever waits shall lead, and we do not wait for it. */
  freeze() {
    if (!this.channel) return;
    const [wasLeader, release] = [this.isLeader, this.#release];
    this.#leaveLine();
    this.isLeader = false;
    if (!wasLeader) return;
    this.hooks.demoted();
    release();
  }

  /** We are awake: lead when it is our turn. */
  resume() {
    if (this.channel && !this.isLeader && !this.#place) this.#lineUp();
    this.link?.check();
  }

  /** The leader does not answer: lead in its place. */
  depose() {
    if (this.isLeader) return;
    this.#leaveLine();
    this.#lead({ steal: true });
  }

  /** @param {any} message */
  post(message) {
    this.channel?.postMessage({ ...message, from: this.id, lead: this.isLeader });
  }

  /** @param {any} message */
  #hear(message) {
    if (message.to && message.to !== this.id) return;
    if (message.lead) this.heardAt = Date.now();
    if (message.type === "join" && this.isLeader && !this.followers.has(message.from)) {
      this.followers.add(message.from);
      this.#alive(message.from, () => (this.followers.delete(message.from), this.hooks.gone(message.from)));
    }
    if (message.lead && ["up", "down", "frame"].includes(message.type)) this.link?.hear(message);
    else this.hooks.heard(message);
  }

  close() {
    this.#leaveLine();
    this.#stop.abort();
    this.channel?.close();
    this.channel = null;
    this.followers.clear();
    this.isLeader = true;
  }
}

/** The leader's socket, seen from a tab that follows: the same promises and methods as `Socket`. */
export class TabLink {
  seen = 0;
  /** @type {import("./errors.js").Maintenance|null} */ maintenance = null;
  /** What the leader's socket had told before it was ours. @type {import("./switches.js").SwitchFrame[]} */ switches = [];
  /** Which of the leader's sockets this is. @type {string|null} */ socket = null;

  /** @param {Tabs} tabs @param {(link: TabLink, data: string|ArrayBuffer) => void} receive */
  constructor(tabs, receive) {
    this.tabs = tabs;
    this.receive = receive;
    /** @type {Promise<number>} */
    this.ended = new Promise((resolve) => (this.end = resolve));
    this.opened = new Promise((resolve, reject) => {
      this.open = resolve;
      this.ended.then(() => reject(null));
    });
    this.opened.catch(nothing);
    tabs.link = this;
    this.#ask("join");
    this.timer = setInterval(() => this.check(), PING_MS);
    this.ended.then(() => clearInterval(this.timer));
  }

  get isOpen() {
    return this.socket !== null && this.tabs.link === this;
  }

  /** Is the leader still there? */
  check() {
    this.#ask("ping");
  }

  /** @param {"join"|"ping"} type @param {number} [unanswered] how many before this were not answered */
  #ask(type, unanswered = 0) {
    const askedAt = Date.now();
    this.tabs.post({ type });
    later(() => {
      const isLookedAt = globalThis.document?.visibilityState !== "hidden";
      if (this.tabs.link !== this || !isLookedAt || this.tabs.heardAt >= askedAt) return;
      // Frozen or starved until now, we have not read the answer yet: it waits behind this timer.
      if (Date.now() - askedAt > ANSWER_MS + LATE_MS) this.#ask(type);
      else if (unanswered + 1 < ASKS) this.#ask(type, unanswered + 1);
      else this.tabs.depose();
    }, ANSWER_MS);
  }

  /** @param {{type: string, socket?: string, code?: number, data?: any, switches?: import("./switches.js").SwitchFrame[]}} message */
  hear({ type, socket, code = 0, data, switches = [] }) {
    if (type === "down") this.hangUp(code);
    else if (type === "frame" && this.socket) this.receive(this, data);
    else if (type === "up" && !this.socket) {
      this.switches = switches;
      this.open((this.socket = socket ?? ""));
    } else if (type === "up" && this.socket !== socket) this.hangUp(0); // we did not hear the former one end
  }

  /** @param {any} frame */
  send(frame) {
    this.tabs.post({ type: "send", frame });
  }

  /** @param {number} [code] */
  hangUp(code = 0) {
    if (this.tabs.link === this) this.tabs.link = null;
    this.end(code);
  }
}
