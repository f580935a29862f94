// @ts-check
/**
 * Rooms: who is here now, what each shows of itself, and messages that nobody keeps. A member is a user, however many
 * tabs it has open; it leaves with the last of them.
 * @typedef {{user_id: string, data: any, joined_at: string}} Member
 */
import { isPassing, PylonError } from "./errors.js";
import { listen, tellAll } from "./listeners.js";
import { asked, backoff, later, nothing, sleep } from "./waiting.js";

const HEARTBEAT_MS = 30_000; //  the server lets go of members that show no life for two minutes
const OUT = ["REMOVED_FROM_ROOM", "POLICY_DENIED"]; // why the server sends somebody out
const PRESENCE_MS = 60; //       at most so often is the own data sent: the newest counts

/** Made by `db.room()`. */
export class Room {
  /** Everybody here, ourselves included, in the order of their coming. @type {Member[]} */ members = [];
  /** Why we are not in, null when we are or try. @type {PylonError|null} */ error = null;
  joined = false;
  #listeners = new Set();
  /** @type {Map<string, Set<(data: any, from: string|null) => void>>} */ #topics = new Map();
  #http;
  #subscriptions;
  #stop;
  #data;
  #timer = null;
  #sentAt = 0;
  /** @type {Promise<void>|null} */ #joining = null;
  #left = false;
  /** The app sent us out: we don't come back by ourselves. @type {PylonError|null} */ #out = null;

  /** @param {import("./http.js").Http} http @param {import("./subscriptions.js").Subscriptions} subscriptions @param {(fn: (frame: any) => void) => () => void} onFrame @param {string} name @param {any} data */
  constructor(http, subscriptions, onFrame, name, data) {
    this.name = name;
    this.#http = http;
    this.#data = data;
    this.#subscriptions = subscriptions;
    const stop = onFrame((frame) => (frame.room === name || frame.type === "departed") && this.#hear(frame));
    const beat = setInterval(() => this.joined && this.#beat(), HEARTBEAT_MS);
    /** @type {any} */ (beat).unref?.();
    this.#stop = () => (stop(), clearInterval(beat));
    subscriptions.add(`room ${name}`, {
      prepare: () => (this.#joining ??= this.#join().finally(() => (this.#joining = null))),
      on: { type: "room-subscribe", room: name },
      off: { type: "room-unsubscribe", room: name },
      after: { path: "/api/rooms/leave", body: { room: name } },
    });
  }

  async #join() {
    for (let tries = 1; !this.#left; tries += 1) {
      if (this.#out) throw this.#out;
      try {
        const { snapshot } = await this.#http.json("POST", "/api/rooms/join", { room: this.name, data: this.#data });
        this.#become(snapshot.peers, null);
        return;
      } catch (raised) {
        const error = /** @type {PylonError} */ (raised);
        this.#become([], error);
        if (!isPassing(error)) throw error;
        await sleep(Math.max(backoff(tries), asked(error.retryAfter)));
      }
    }
  }

  /** @param {any} frame */
  #hear(frame) {
    const { type, action, member = {}, data } = frame;
    if (type === "departed") this.#become([], null, false); // as somebody else we join anew
    else if (type === "room-snapshot") this.#become(frame.members, null, true);
    else if (type === "error" && frame.code === "NOT_IN_ROOM") this.#again();
    else if (type === "error" && OUT.includes(frame.code)) this.#removed(frame.code);
    else if (type === "topic") this.#tell(frame.topic, data, frame.from);
    else if (type !== "room-update") return;
    else if (action === "broadcast") this.#tell(data.topic, data.payload, member.user_id);
    else if (action === "leave") this.#become(this.members.filter(({ user_id }) => user_id !== member.user_id));
    else {
      const shown = action === "join" ? (member.data ?? null) : data;
      const known = this.members.some(({ user_id }) => user_id === member.user_id);
      const come = { user_id: member.user_id, data: shown, joined_at: `${Math.floor(Date.now() / 1000)}Z` };
      this.#become(known ? this.members.map((one) => (one.user_id === member.user_id ? { ...one, data: shown } : one)) : [...this.members, come]);
    }
  }

  /** @param {string} code */
  #removed(code) {
    const error = new PylonError(code, `The app sent us out of the room ${this.name}.`, { status: 403 });
    if (code === "REMOVED_FROM_ROOM") this.#out = error;
    this.#become([], error);
  }

  /** We were taken for gone: an old frame, or the server swept us while we slept. */
  #again() {
    if (this.#left || this.#joining) return;
    later(() => this.#left || this.#subscriptions.resume(), 200 + Math.random() * 800);
  }

  async #beat() {
    const answer = await this.#http.json("GET", `/api/rooms/${encodeURIComponent(this.name)}`).catch(nothing);
    if (answer?.count === 0 && this.joined) this.#again();
  }

  /** @param {Member[]} members @param {PylonError|null} [error] @param {boolean} [joined] */
  #become(members, error = this.error, joined = this.joined && !error) {
    [this.members, this.error, this.joined] = [members, error, joined];
    tellAll(this.#listeners, this);
  }

  /** @param {string} topic @param {any} data @param {string|null} from */
  #tell(topic, data, from) {
    tellAll([...(this.#topics.get(topic) ?? [])].map((fn) => () => fn(data, from)), undefined);
  }

  /** Calls `fn` with this room at once and whenever somebody comes, goes or shows something else. @param {(room: Room) => void} fn @returns {() => void} stop */
  subscribe(fn) {
    const stop = listen(this.#listeners, fn);
    fn(this);
    return stop;
  }

  /** Calls `fn` for each message of a topic, `from` a user or null for the app itself. @param {string} topic @param {(data: any, from: string|null) => void} fn @returns {() => void} stop */
  on(topic, fn) {
    const all = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, all);
    return listen(all, fn);
  }

  /** What we show of ourselves from now on. Called often, only the newest is sent. @param {any} data */
  set(data) {
    this.#data = data;
    this.#timer ??= later(() => this.#send(), Math.max(0, this.#sentAt + PRESENCE_MS - Date.now()));
  }

  #send() {
    this.#timer = null;
    this.#sentAt = Date.now();
    if (this.#left || !this.joined) return; // joining tells it
    this.#http.json("POST", "/api/rooms/presence", { room: this.name, data: this.#data }).then((answer) => answer.reason === "not_in_room" && this.#again(), nothing);
  }

  /** A message to everybody here, ourselves included. @param {string} topic @param {any} [data] @returns {Promise<boolean>} false if we are not in the room */
  async broadcast(topic, data = null) {
    return (await this.#http.json("POST", "/api/rooms/broadcast", { room: this.name, topic, data })).broadcasted;
  }

  /** The same over the socket: faster, and nobody says whether it arrived. @param {string} topic @param {any} [data] */
  send(topic, data = null) {
    this.#subscriptions.sync.send({ type: "topic", room: this.name, topic, data });
  }

  /** Leaves, if no other tab of this browser is in. */
  leave() {
    if (this.#left) return;
    this.#left = true;
    this.#stop();
    this.#subscriptions.remove(`room ${this.name}`);
    this.#listeners.clear();
    this.#topics.clear();
  }
}
