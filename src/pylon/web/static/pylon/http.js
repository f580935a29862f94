// @ts-check
/** Requests to one server, as the owner of one token. */
import { errorOf, networkError, PylonError } from "./errors.js";
import { asked, backoff, later, nothing, sleep } from "./waiting.js";

const REQUEST_MS = 60_000;
const READ_TRIES = 3; //   requests for one read that the server is too busy for
const READ_WAIT_S = 5; //  a read that would have to wait longer fails instead

export class Http {
  /** Whom the server must take us for, "" for nobody; null until we know: then anybody but nobody will do. @type {string|null} */ user = null;
  /** Requests under way that may be sent again. @type {Set<AbortController>} */ #repeatable = new Set();
  /** Called when the server takes us for somebody else; nothing was done then. */ mistaken = nothing;

  /** @param {string} base @param {string|null} token */
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /** Where a cookie may say who we are, nobody is somebody to tell, too. @param {string} path */
  #expected(path) {
    if (path.startsWith("/api/auth/")) return null;
    if (this.user) return encodeURIComponent(this.user);
    if (this.token) return "*";
    return this.user === "" && this.base === globalThis.location?.origin ? "" : null;
  }

  /**
   * The raw answer, whatever its status.
   * @param {string} method @param {string} path @param {unknown} [body]
   * @param {{signal?: AbortSignal, headers?: Record<string, string>, keepalive?: boolean}} [options]
   */
  async send(method, path, body, { signal, headers = {}, keepalive } = {}) {
    const all = { ...headers };
    if (this.token) all.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) all["Content-Type"] = "application/json";
    const expected = this.#expected(path);
    if (expected !== null) all["X-Pylon-Expect-User"] = expected;
    let response;
    try {
      response = await fetch(this.base + path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal, keepalive });
    } catch (cause) {
      throw networkError(cause);
    }
    if (response.status === 401 && expected !== null) this.mistaken();
    return response;
  }

  /** The answer's JSON; anything but 2xx throws. A read that the server is too busy for is asked again. @param {string} method @param {string} path @param {unknown} [body] */
  json = async (method, path, body) => (await this.exchange(method, path, body)).value;

  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<{value: any, seq: number}>} */
  async exchange(method, path, body) {
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#once(method, path, body);
      if (!(answer instanceof PylonError)) return answer;
      const isBusy = answer.status === 429 || (answer.status === 503 && answer.code !== "MAINTENANCE");
      if (method !== "GET" || !isBusy || tries === READ_TRIES || answer.retryAfter > READ_WAIT_S) throw answer;
      await sleep(Math.max(backoff(tries), asked(answer.retryAfter)));
    }
  }

  /** One answer, or why there is none; throws when the connection fails, or something that is no Pylon answers.
   * @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<{value: any, seq: number}|PylonError>} */
  async #once(method, path, body) {
    const stop = new AbortController();
    const timer = later(() => stop.abort(), REQUEST_MS);
    if (method === "GET" || path === "/api/sync/push") this.#repeatable.add(stop);
    try {
      const response = await this.send(method, path, body, { signal: stop.signal });
      if (!response.ok) return await errorOf(response);
      return { value: await response.json(), seq: Number(response.headers.get("X-Pylon-Change-Seq")) || 0 };
    } catch (cause) {
      throw cause instanceof PylonError ? cause : networkError(cause);
    } finally {
      clearTimeout(timer);
      this.#repeatable.delete(stop);
    }
  }

  /** Gives up the requests under way that do no harm when they are sent again. A page that is frozen while an answer
   * arrives may never see its end, and everything behind it would wait. */
  interrupt() {
    for (const stop of this.#repeatable) stop.abort();
  }
}
