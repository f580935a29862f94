// @ts-check
// Who tries the calls out. A typed token lives as long as the page and is written nowhere.

const TOKEN = /^pylon(?:_|:.+:)token$/;

/** The token that pylon.js keeps in this browser for the app's own pages, "" without one. */
export function appToken() {
  try {
    const key = Object.keys(localStorage).sort().find((name) => TOKEN.test(name));
    return (key && localStorage.getItem(key)) || "";
  } catch {
    return ""; // blocked by the browser
  }
}

class Caller extends EventTarget {
  /** @type {"browser"|"token"} */ way = "browser";
  typed = "";

  /** The token that goes with a call; without one the browser sends its cookie. */
  get token() {
    return this.way === "token" ? this.typed : appToken();
  }

  /** @param {string} token */
  use(token) {
    this.typed = token.trim();
    this.way = this.typed ? "token" : "browser";
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} path @param {RequestInit} [options] */
  send(path, options = {}) {
    const headers = new Headers(options.headers);
    if (this.token) headers.set("Authorization", `Bearer ${this.token}`);
    return fetch(path, { ...options, headers, credentials: this.token ? "omit" : "same-origin", redirect: "manual", cache: "no-store" });
  }

  /** Who the server takes us for. @returns {Promise<string>} */
  async name() {
    try {
      const answer = await this.send("/api/auth/me");
      const said = await answer.json();
      if (!answer.ok) return said.error?.message ?? `${answer.status}`;
      if (said.is_admin) return said.user_id ? `${said.user_id}, admin` : "an admin";
      return said.user_id ?? "nobody";
    } catch {
      return "nobody: the server does not answer";
    }
  }

  /** Becomes a new guest. */
  async guest() {
    const answer = await fetch("/api/auth/guest", { method: "POST", credentials: "omit" });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error?.message ?? `The server answered ${answer.status}`);
    this.use(said.token);
  }
}

export const caller = new Caller();
