// @ts-check
/** Live functions: a query function's result, pushed by the server whenever what it read has changed. */
import { PylonError } from "./errors.js";
import { randomText } from "./ids.js";
import { listen, tellAll } from "./listeners.js";

/** Made by `db.liveFn()`. @template [R=any] */
export class LiveFunction {
  /** The last result, undefined before the first. @type {R|undefined} */ value = undefined;
  /** Why there is no result, or why the last run failed; null when it did not. @type {PylonError|null} */ error = null;
  loading = true;
  #listeners = new Set();
  #stop;

  /** @param {import("./subscriptions.js").Subscriptions} subscriptions @param {(fn: (frame: any) => void) => () => void} onFrame @param {string} name @param {Record<string, any>} args */
  constructor(subscriptions, onFrame, name, args) {
    const id = `${name}-${randomText()}${randomText()}`;
    const stop = onFrame((frame) => (frame.sub_id === id || frame.type === "departed") && this.#hear(frame));
    const on = { type: "reactive-subscribe", sub_id: id, fn_name: name, args };
    subscriptions.add(`fn ${id}`, { on, off: { type: "reactive-unsubscribe", sub_id: id } });
    this.#stop = () => (stop(), subscriptions.remove(`fn ${id}`));
  }

  /** @param {any} frame */
  #hear(frame) {
    if (frame.type === "departed") return this.#forget();
    if (frame.type === "reactive-result") [this.value, this.error] = [frame.result, null];
    else if (frame.type === "reactive-error") this.error = new PylonError(frame.code, frame.message, { hint: frame.hint });
    else return;
    this.loading = false;
    tellAll(this.#listeners, this);
  }

  /** Somebody else asks now: what the former caller was told is not for them. */
  #forget() {
    [this.value, this.error, this.loading] = [undefined, null, true];
    tellAll(this.#listeners, this);
  }

  /** Resolves with the first result, rejects if that is an error. @returns {Promise<R>} */
  get ready() {
    return new Promise((resolve, reject) => {
      const stop = this.subscribe(() => {
        if (this.loading) return;
        queueMicrotask(() => stop());
        if (this.error) reject(this.error);
        else resolve(/** @type {R} */ (this.value));
      });
    });
  }

  /** Calls `fn` with this at once and after each result or error. @param {(live: LiveFunction<R>) => void} fn @returns {() => void} stop */
  subscribe(fn) {
    const stop = listen(this.#listeners, fn);
    fn(this);
    return stop;
  }

  close() {
    this.#stop();
    this.#listeners.clear();
  }
}
