// What the tests of pylon.js share: a client per test, a network that fails on request, and waiting for conditions.
import { connect } from "../../../src/pylon/web/static/pylon.js";
import { NodeWebSocket } from "./websocket.js";

export const url = process.env.PYLON_URL;
const realFetch = globalThis.fetch;

/** Faults: `before(path, init)` may answer in the server's place; `after(path, response)` may replace or lose its answer. */
export const network = { before: null, after: null, requests: [], sockets: new Set() };

globalThis.fetch = async (target, init = {}) => {
  const path = String(target).slice(url.length);
  network.requests.push({ path, body: init.body ? JSON.parse(init.body) : null });
  const instead = await network.before?.(path, init);
  if (instead instanceof Response) return instead;
  const response = await realFetch(typeof instead === "string" ? url + instead : target, init);
  return (await network.after?.(path, response)) ?? response;
};

globalThis.WebSocket = class extends NodeWebSocket {
  constructor(...args) {
    super(...args);
    network.sockets.add(this);
  }
  /** The other end closes with this code. */
  drop(code = 1006) {
    network.sockets.delete(this);
    this.onclose?.({ code });
    this.close();
  }
};

export const dropSockets = (code) => [...network.sockets].forEach((socket) => socket.drop(code));
export const failure = (status, code, headers = {}) => new Response(JSON.stringify({ error: { code, message: code } }), { status, headers });
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function calm() {
  network.before = network.after = null;
  network.requests.length = 0;
  network.sockets.clear();
}

const open = [];

/** A connected client, signed in as `user`, closed after the test. */
export async function client(user) {
  const db = connect({ url, token: user && process.env.PYLON_ADMIN_TOKEN, app: `test-${Math.random()}` });
  open.push(db);
  if (user) await db.session(user);
  return db;
}

/** A token of this user, made by the admin. */
export async function tokenOf(user) {
  const headers = { Authorization: `Bearer ${process.env.PYLON_ADMIN_TOKEN}`, "Content-Type": "application/json" };
  const answer = await realFetch(`${url}/api/auth/session`, { method: "POST", headers, body: JSON.stringify({ user_id: user }) });
  return (await answer.json()).token;
}

export function closeAll() {
  for (const db of open.splice(0)) db.close();
}

/** Waits until `condition()` is truthy and gives its value. */
export async function until(condition, what = condition.toString(), ms = 8000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await pause(5);
  }
}

/** Live rows that have loaded, on a socket that is open. */
export async function loaded(db, entity, options) {
  const live = db.live(entity, options);
  await until(() => !live.loading && db.status === "live", "the first rows");
  return live;
}

/** Every row the caller may read, asked from the server and not from the replica. */
export async function fresh(db, entity) {
  const rows = new Map();
  let after = "";
  do {
    const headers = db.token ? { Authorization: `Bearer ${db.token}` } : {};
    const page = await (await realFetch(`${url}/api/sync/pull?since=0&page_size=1000${after}`, { headers })).json();
    for (const change of page.changes) if (change.entity === entity) rows.set(change.row_id, change.data);
    after = page.snapshot_after ? `&snapshot_after=${page.snapshot_after}` : "";
  } while (after);
  return [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

let counter = 0;
/** A value that no other test uses, so that all tests can share one server. */
export const unique = (name) => `${name}-${process.pid}-${(counter += 1)}`;
