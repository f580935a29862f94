// What pylon.js does while an operator fights an incident, against a real server. Run by test_pylon_js_incidents.py.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { calm, client, closeAll, dropSockets, failure, fresh, loaded, network, pause, tokenOf, unique, until, url } from "./harness.mjs";

const realFetch = globalThis.fetch;

afterEach(async () => {
  closeAll();
  calm();
  for (const one of (await admin("GET", "switches")).switches) await off(one);
});

/** An operator's request. */
async function admin(method, path, body) {
  const headers = { Authorization: `Bearer ${process.env.PYLON_ADMIN_TOKEN}`, "Content-Type": "application/json" };
  const answer = await realFetch(`${url}/api/admin/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const value = await answer.json();
  assert.ok(answer.ok, JSON.stringify(value));
  return value;
}

/** Writes past every switch. */
async function adminWrites(entity, data) {
  const headers = { Authorization: `Bearer ${process.env.PYLON_ADMIN_TOKEN}`, "Content-Type": "application/json" };
  const answer = await realFetch(`${url}/api/entities/${entity}`, { method: "POST", headers, body: JSON.stringify(data) });
  assert.equal(answer.status, 201);
}

const on = (scope, more = {}) => admin("POST", "switches", { scope, ...more });
const off = ({ id }) => admin("DELETE", `switches/${id}`);
const attempts = () => network.requests.filter(({ path }) => path.startsWith("/api/sync/")).length;

test("maintenance is told with its reason and end, and when it is over everything is there", async () => {
  const db = await client("ann");
  const title = unique("meanwhile");
  const live = await loaded(db, "Todo", { where: { title } });
  const told = [];
  db.onStatus((status, maintenance) => told.push([status, maintenance?.reason ?? null]));
  const one = await on("server", { reason: "moving disks", retry_after: 1, expires_in: 600 });
  await until(() => db.status === "maintenance");
  assert.equal(db.maintenance.reason, "moving disks");
  assert.equal(db.maintenance.scope, "server");
  assert.ok(Math.abs(db.maintenance.until - new Date(one.expires_at * 1000)) < 1500);
  const written = db.insert("Todo", { title, done: true });
  await adminWrites("Todo", { title, done: false });
  await pause(1200);
  assert.equal(db.status, "maintenance");
  assert.equal(db.pending, 1);
  await off(one);
  await until(() => db.status === "live");
  await written;
  await until(() => live.rows.length === 2);
  assert.equal(db.maintenance, null);
  assert.deepEqual([told[0], told[1], told.at(-1)], [["live", null], ["maintenance", "moving disks"], ["live", null]]);
});

test("nobody comes back from maintenance sooner than asked", async () => {
  const db = await client("ann");
  await loaded(db, "Todo");
  const one = await on("sync", { reason: "a storm", retry_after: 2 });
  await until(() => db.status === "maintenance");
  await pause(50);
  const before = attempts();
  await pause(1700);
  assert.equal(attempts(), before);
  await off(one);
  await until(() => db.status === "live");
});

test("while the server is read-only data flows in and writes wait", async () => {
  const db = await client("ann");
  const title = unique("counting");
  const live = await loaded(db, "Todo", { where: { title } });
  const one = await on("read-only", { reason: "counting", retry_after: 60 });
  await until(() => db.status === "maintenance");
  assert.equal(db.maintenance.scope, "read-only");
  await adminWrites("Todo", { title, done: false });
  await until(() => live.rows.length === 1);
  const written = db.insert("Todo", { title, done: true });
  await pause(200);
  assert.equal(db.pending, 1);
  await off(one);
  await until(() => db.status === "live");
  await written; // long before Retry-After: the end was announced
  await until(() => live.rows.length === 2);
});

test("who connects to a read-only server is told as well", async () => {
  const one = await on("read-only", { reason: "counting" });
  const db = await client();
  db.live("Todo");
  await until(() => db.status === "maintenance" && db.maintenance.reason === "counting");
  await off(one);
  await until(() => db.status === "live");
});

test("a function that is off is told with its reason and end, and again when it works", async () => {
  const db = await client("ann");
  await loaded(db, "Todo");
  const told = [];
  const stop = db.onSwitch((switches) => told.push(switches.map(({ target, reason }) => [target, reason])));
  const one = await on("function", { target: "add", reason: "too loud", expires_in: 600 });
  await until(() => db.switches.length === 1);
  const { until: end, ...shown } = db.switchOn("function", "add");
  assert.deepEqual(shown, { scope: "function", target: "add", blocks: "all", reason: "too loud" });
  assert.ok(Math.abs(end - new Date(one.expires_at * 1000)) < 1500);
  assert.deepEqual([db.switchOn("function", "counts"), db.status, db.maintenance], [null, "live", null]);
  const late = await client("ben");
  await loaded(late, "Todo");
  await until(() => late.switchOn("function", "add"));
  await off(one);
  await until(() => db.switches.length === 0 && late.switches.length === 0);
  assert.deepEqual(told, [[], [["add", "too loud"]], []]);
  stop();
});

test("a switch ends at its time, also where nobody says so", async () => {
  const db = await client("ann");
  await loaded(db, "Todo");
  const later = Date.now() / 1000 + 0.3;
  for (const socket of network.sockets) socket.onmessage?.({ data: `{"type":"switch","on":true,"scope":"uploads","target":"","blocks":"all","reason":"","until":${later}}` });
  assert.equal(db.switchOn("uploads").scope, "uploads");
  network.before = () => failure(503, "OVERLOADED");
  dropSockets(1006);
  await until(() => db.status !== "live");
  assert.equal(db.switches.length, 1);
  await until(() => db.switches.length === 0);
  assert.ok(Date.now() / 1000 >= later - 0.01);
});

test("what was switched on again while nobody was connected is known after the next connection", async () => {
  const db = await client("ann");
  await loaded(db, "Todo");
  const one = await on("function", { target: "add" });
  await until(() => db.switches.length === 1);
  network.before = (path) => (path.startsWith("/api/sync/pull") ? failure(503, "OVERLOADED") : undefined);
  dropSockets(1006);
  await until(() => db.status !== "live");
  await off(one);
  await on("auth", { target: "password", reason: "an attack" });
  assert.equal(db.switches[0].target, "add");
  network.before = null;
  await until(() => db.switches.length === 1 && db.switchOn("auth", "password")?.reason === "an attack");
});

test("writes that wait for an entity go out when it takes them again", async () => {
  const db = await client("ann");
  const title = unique("waits");
  await loaded(db, "Todo", { where: { title } });
  const one = await on("entity", { target: "Todo", blocks: "writes", retry_after: 600 });
  const written = db.insert("Todo", { title });
  await until(() => db.switchOn("entity", "Todo")?.blocks === "writes" && db.status === "maintenance");
  await off(one);
  await written; // long before Retry-After
  await until(() => db.status === "live");
});

test("a bounce is survived without a gap, each coming back when it was asked to", async () => {
  const title = unique("bounced");
  const all = [];
  for (let i = 0; i < 5; i += 1) all.push(await client(unique("many")));
  const lives = await Promise.all(all.map((db) => loaded(db, "Todo", { where: { title } })));
  const states = all.map((db) => {
    const seen = [];
    db.onStatus((status) => seen.push([status, Date.now()]));
    return seen;
  });
  assert.ok((await admin("POST", "sockets/bounce", { seconds: 0 })).bouncing >= 5);
  for (let i = 0; i < 20; i += 1) await adminWrites("Todo", { title, done: i % 2 === 0 });
  await until(() => states.every((seen) => seen.at(-1)[0] === "live" && seen.length === 3));
  await until(() => lives.every((live) => live.rows.length === 20));
  for (const [, gone, back] of states) assert.ok(back[1] - gone[1] >= 95, "not at once");
  assert.ok(new Set(states.map(([, gone, back]) => Math.round((back[1] - gone[1]) / 20))).size > 1, "not together");
});

test("a reconnect hint is waited out and holds for one time", async () => {
  const db = await client("ann");
  await loaded(db, "Todo");
  for (const socket of network.sockets) socket.onmessage?.({ data: '{"type":"reconnect","after_ms":900}' });
  assert.equal(db.status, "live");
  let gone = Date.now();
  dropSockets(1012);
  await until(() => db.status === "live" && network.sockets.size === 1);
  assert.ok(Date.now() - gone >= 880);
});

test("a user who is blocked stops asking, and goes on as somebody else", async () => {
  const user = unique("mallory");
  const db = await client(user);
  await loaded(db, "Todo");
  const realRandom = Math.random;
  Math.random = () => 0.01; // the attempt that finds out comes soon
  const one = await on("user", { target: user });
  try {
    await until(() => db.status === "blocked");
  } finally {
    Math.random = realRandom;
  }
  const before = network.requests.length;
  await pause(1500);
  assert.equal(network.requests.length, before);
  await assert.rejects(db.insert("Todo", { title: unique("no") }), ({ code }) => code === "BLOCKED");
  await db.use(await tokenOf(unique("ben")));
  await until(() => db.status === "live");
  await off(one);
});

test("rows of an entity that was off are complete when it is back", async () => {
  const db = await client("ann");
  const title = unique("hidden");
  const live = await loaded(db, "Todo", { where: { title } });
  await adminWrites("Todo", { title, done: false });
  await until(() => live.rows.length === 1);
  const one = await on("entity", { target: "Todo" });
  await adminWrites("Todo", { title, done: true });
  await pause(100);
  assert.equal(live.rows.length, 1);
  await off(one);
  await until(() => live.rows.length === 2 && db.status === "live");
  assert.deepEqual(live.rows, (await fresh(db, "Todo")).filter((row) => row.title === title));
});

test("a read that the server is too busy for is asked again when it said", async () => {
  const db = await client("ann");
  for (const [status, code] of [
    [429, "RATE_LIMITED"],
    [503, "OVERLOADED"],
  ]) {
    let refusals = 1;
    network.before = (path) => (path === "/api/auth/me" && refusals-- > 0 ? failure(status, code, { "Retry-After": "1" }) : undefined);
    const began = Date.now();
    assert.equal((await db.me()).user_id, "ann");
    assert.ok(Date.now() - began >= 1000);
  }
});

test("a call is never repeated, and tells how long to wait", async () => {
  const db = await client("ann");
  network.requests.length = 0;
  network.before = (path) => (path.startsWith("/api/fn/") ? failure(429, "RATE_LIMITED", { "Retry-After": "1" }) : undefined);
  await assert.rejects(db.call("add", { title: "x" }), ({ code, retryAfter }) => code === "RATE_LIMITED" && retryAfter === 1);
  assert.equal(network.requests.filter(({ path }) => path.startsWith("/api/fn/")).length, 1);
});

test("a throttled row ends in its last state", async () => {
  const db = await client("ann");
  const title = unique("hot");
  const live = await loaded(db, "Todo", { where: { title } });
  await admin("POST", "fanout/throttle", { entity: "Todo", rate: 2 });
  const { id } = await db.insert("Todo", { title });
  for (let i = 0; i < 51; i += 1) await db.update("Todo", id, { done: i % 2 === 0 });
  await until(async () => live.rows[0]?.done === true && db.pending === 0);
  await admin("POST", "fanout/throttle", { entity: "Todo", rate: null });
  await until(async () => JSON.stringify(live.rows) === JSON.stringify((await fresh(db, "Todo")).filter((row) => row.id === id)));
});
