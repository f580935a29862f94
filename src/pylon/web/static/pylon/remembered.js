// @ts-check
/** What this browser remembers in localStorage: tokens, whose they are, and who we are to the server without one. */
import { fingerprint, generateId } from "./ids.js";

/** @returns {Storage|null} */
function storage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // blocked by the browser: the session lasts as long as the page
  }
}

/** Tells this browser's writes from another's when nobody is signed in. */
export function clientId() {
  const kept = storage()?.getItem("pylon:client_id");
  const id = kept ?? `cl_${generateId()}`;
  if (!kept) storage()?.setItem("pylon:client_id", id);
  return id;
}

/** The token of one app on this origin, and the session that belongs to it. */
export class Remembered {
  /** @param {string} app */
  constructor(app) {
    this.tokenKey = app === "default" ? "pylon_token" : `pylon:${app}:token`;
    this.sessionKey = `pylon:${app}:session`;
  }

  get token() {
    return storage()?.getItem(this.tokenKey) ?? null;
  }

  /** @param {string|null} token */
  set token(token) {
    if (token) storage()?.setItem(this.tokenKey, token);
    else storage()?.removeItem(this.tokenKey);
  }

  /** Who the owner of this token was when we last asked: all we know without a connection. @param {string|null} token @returns {import("./database.js").Session|null} */
  sessionOf(token) {
    try {
      const kept = JSON.parse(storage()?.getItem(this.sessionKey) ?? "null");
      return kept?.token === fingerprint(token ?? "") ? kept.session : null;
    } catch {
      return null; // somebody else's entry of the same name
    }
  }

  /** @param {string|null} token @param {import("./database.js").Session} session */
  keep(token, session) {
    storage()?.setItem(this.sessionKey, JSON.stringify({ token: fingerprint(token ?? ""), session }));
  }

  forget() {
    storage()?.removeItem(this.sessionKey);
  }

  /** Calls `fn` with the new token when another tab signs in or out. @param {(token: string|null) => void} fn @returns {() => void} stop */
  onToken(fn) {
    // Not the event's own value: two tabs that sign in at once would take each other's.
    const heard = (/** @type {StorageEvent} */ { key }) => key === this.tokenKey && fn(this.token);
    globalThis.addEventListener?.("storage", /** @type {any} */ (heard));
    return () => globalThis.removeEventListener?.("storage", /** @type {any} */ (heard));
  }
}
