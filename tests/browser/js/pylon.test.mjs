// pylon.js against a real server (PYLON_URL, PYLON_ADMIN_TOKEN, tests/browser/app). Run by test_pylon_js.py.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { generateId, parseEvents, PylonError } from "../../../src/pylon/web/static/pylon.js";
import { calm, client, closeAll, dropSockets, failure, fresh, loaded, network, pause, tokenOf, unique, until } from "./harness.mjs";

afterEach(() => {
  closeAll();
  calm();
});

const coded = (code) => (error) => error instanceof PylonError && error.code === code;
const isPush = (path) => path.startsWith("/api/sync/push");
const isPull = (path) => path.startsWith("/api/sync/pull");

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

test("generated ids are 40 hex digits and sort by creation", () => {
  const ids = Array.from({ length: 2000 }, generateId);
  assert.ok(ids.every((id) => /^[0-9a-f]{40}$/.test(id)));
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
});

test("an insert shows at once, is confirmed with its seq, and reaches another client", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("milk");
  const mine = await loaded(ann, "Todo", { where: { title } });
  const theirs = await loaded(bob, "Todo", { where: { title } });
  const written = ann.insert("Todo", { title });
  assert.equal(mine.rows.length, 1);
  assert.equal(ann.pending, 1);
  const { id, seq } = await written;
  assert.equal(mine.rows[0].id, id);
  assert.ok(seq > 0);
  assert.equal(ann.pending, 0);
  await until(() => theirs.rows.length === 1);
  await until(() => mine.rows[0].done === false, "the server's defaults");
  assert.deepEqual(theirs.rows, mine.rows);
});

test("updates and deletes show at once and reach another client", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("edit");
  const mine = await loaded(ann, "Todo", { where: { title } });
  const theirs = await loaded(bob, "Todo", { where: { title } });
  const { id } = await ann.insert("Todo", { title });
  const updated = ann.update("Todo", id, { done: true });
  assert.equal(mine.rows[0].done, true);
  await updated;
  await until(() => theirs.rows[0]?.done === true);
  const deleted = ann.delete("Todo", id);
  assert.deepEqual(mine.rows, []);
  await deleted;
  await until(() => theirs.rows.length === 0);
});

test("changes to one row made in one turn travel together and keep their order", async () => {
  const db = await client("ann");
  const live = await loaded(db, "Todo");
  const id = generateId();
  network.requests.length = 0;
  const all = [db.insert("Todo", { id, title: unique("a") }), db.update("Todo", id, { title: "b" }), db.update("Todo", id, { done: true })];
  await Promise.all(all);
  assert.deepEqual(network.requests.filter(({ path }) => isPush(path)).map(({ body }) => body.changes.length), [3]);
  await until(() => live.rows.find((row) => row.id === id)?.done === true);
  assert.equal(live.rows.find((row) => row.id === id).title, "b");
  await db.delete("Todo", id);
});

test("a refused write is taken back and rejects with the server's code", async () => {
  const db = await client("ann");
  const title = unique("colour");
  const live = await loaded(db, "Todo", { where: { title } });
  const refused = db.insert("Todo", { title, colour: "red" });
  const accepted = db.insert("Todo", { title, done: true });
  assert.equal(live.rows.length, 2);
  await assert.rejects(refused, coded("INVALID_COLUMN"));
  await accepted;
  assert.deepEqual(live.rows.map((row) => row.done), [true]);
});

test("a refused update shows the server's row again", async () => {
  const db = await client("ann");
  const title = unique("keep");
  const live = await loaded(db, "Todo", { where: { title } });
  const { id } = await db.insert("Todo", { title });
  await assert.rejects(db.update("Todo", id, { colour: "red", done: true }), coded("INVALID_COLUMN"));
  assert.equal(live.rows[0].done, false);
  assert.ok(!("colour" in live.rows[0]));
});

test("a lost answer is repeated with the same op_id and applied once", async () => {
  const db = await client("ann");
  const title = unique("lost");
  const live = await loaded(db, "Todo", { where: { title } });
  let losses = 2;
  network.after = (path) => {
    if (isPush(path) && losses-- > 0) throw new TypeError("connection reset");
  };
  const { id, seq } = await db.insert("Todo", { title });
  const pushes = network.requests.filter(({ path }) => isPush(path)).map(({ body }) => body.changes[0].op_id);
  assert.equal(pushes.length, 3);
  assert.equal(new Set(pushes).size, 1);
  assert.match(pushes[0], /^mut_\d+_[a-z0-9]{8}$/);
  await until(() => live.rows[0]?.done === false);
  assert.deepEqual(live.rows.map((row) => row.id), [id]);
  assert.ok(seq > 0);
  assert.equal((await fresh(db, "Todo")).filter((row) => row.title === title).length, 1);
});

test("back-pressure is waited out as long as Retry-After says", async () => {
  const db = await client("ann");
  let refusals = 1;
  network.before = (path) => (isPush(path) && refusals-- > 0 ? failure(429, "RATE_LIMITED", { "Retry-After": "1" }) : undefined);
  const began = Date.now();
  await db.insert("Todo", { title: unique("busy") });
  assert.ok(Date.now() - began >= 1000);
});

test("a batch that the server cannot digest is narrowed down to the write that is at fault", async () => {
  const db = await client("ann");
  const poison = unique("poison");
  network.before = (path, init) => (isPush(path) && init.body.includes(poison) ? failure(500, "INTERNAL") : undefined);
  const realRandom = Math.random;
  Math.random = () => 0.001; // no long waits
  const [good, bad, after] = [unique("good"), poison, unique("after")].map((title) => db.insert("Todo", { title }));
  bad.catch(() => {});
  try {
    await good;
    await assert.rejects(bad, coded("INTERNAL"));
    await after;
  } finally {
    Math.random = realRandom;
  }
});

test("a body that is too large is sent in smaller parts", async () => {
  const db = await client("ann");
  network.before = (path, init) => (isPush(path) && JSON.parse(init.body).changes.length > 10 ? failure(413, "PAYLOAD_TOO_LARGE") : undefined);
  const written = await Promise.all(Array.from({ length: 25 }, () => db.insert("Todo", { title: unique("big") })));
  assert.deepEqual(written.map(({ seq }) => seq), written.map(({ seq }) => seq).sort((a, b) => a - b));
});

test("an unconfirmed patch stays on top of what others write meanwhile", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("rebase");
  const live = await loaded(ann, "Todo");
  const { id } = await ann.insert("Todo", { title });
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  const slow = ann.token;
  network.before = async (path, init) => {
    if (isPush(path) && init.headers.Authorization === `Bearer ${slow}`) await held;
  };
  const mine = () => live.rows.find((row) => row.id === id);
  const updated = ann.update("Todo", id, { done: true });
  await bob.update("Todo", id, { title: `${title}!`, done: false });
  await until(() => mine().title === `${title}!`, "bob's title under ann's patch");
  assert.equal(mine().done, true);
  letGo();
  await updated;
  await until(async () => JSON.stringify((await fresh(ann, "Todo")).find((row) => row.id === id)) === JSON.stringify(mine()));
  assert.equal(mine().done, true);
});

test("five hundred writes in one turn arrive in order and in few requests", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("many");
  const theirs = await loaded(bob, "Todo", { where: (row) => row.title.startsWith(`${title}/`) });
  const written = await Promise.all(Array.from({ length: 500 }, (_, i) => ann.insert("Todo", { title: `${title}/${String(i).padStart(3, "0")}` })));
  assert.equal(network.requests.filter(({ path }) => isPush(path)).length, 3);
  assert.ok(written.every(({ seq }, i) => i === 0 || seq > written[i - 1].seq));
  await until(() => theirs.rows.length === 500);
  assert.ok(theirs.rows.every((row, i) => row.title.endsWith(String(i).padStart(3, "0"))));
});

// ── Live rows ────────────────────────────────────────────────────────────────────────────────────────────────────

test("live rows filter, sort and limit, and tell subscribers only of their own changes", async () => {
  const db = await client("ann");
  const kind = unique("sort");
  const live = await loaded(db, "Todo", { where: { title: [`${kind}1`, `${kind}2`, `${kind}3`], done: false }, order: "-title", limit: 2 });
  const seen = [];
  const stop = live.subscribe((rows) => seen.push(rows.map((row) => row.title.slice(kind.length)).join()));
  assert.deepEqual(seen, [""]);
  for (const n of [1, 3, 2]) await db.insert("Todo", { title: `${kind}${n}`, done: false });
  await until(() => seen.at(-1) === "3,2" && live.rows.every((row) => row.created));
  await pause(20);
  const count = seen.length;
  await db.insert("Todo", { title: unique("other"), done: false });
  await pause(50);
  assert.equal(seen.length, count);
  stop();
  await db.update("Todo", live.rows[0].id, { done: true });
  assert.equal(seen.length, count);
  assert.deepEqual(live.rows.map((row) => row.title.slice(kind.length)), ["2", "1"]);
});

test("an entity without rows is told to be loaded, and then ready", async () => {
  const db = await client(unique("ann"));
  const live = db.live("Private");
  assert.equal(live.loading, true);
  const seen = [];
  live.subscribe((rows) => seen.push([rows.length, live.loading]));
  assert.deepEqual(await live.ready, []);
  await pause(20);
  assert.deepEqual(seen, [[0, true], [0, false]]);
});

test("an unconfirmed insert counts as newest in a field that the server will fill", async () => {
  const db = await client("ann");
  const title = unique("newest");
  const [down, up] = [await loaded(db, "Todo", { where: { title }, order: "-created" }), await loaded(db, "Todo", { where: { title }, order: "created" })];
  await db.insert("Todo", { title });
  await until(() => down.rows[0].created);
  const id = generateId();
  const written = db.insert("Todo", { id, title });
  assert.equal(down.rows[0].id, id);
  assert.equal(up.rows.at(-1).id, id);
  await written;
});

test("a subscriber that throws does not keep the others or the connection from going on", async () => {
  const db = await client("ann");
  const title = unique("throw");
  const live = await loaded(db, "Todo", { where: { title } });
  const thrown = [];
  const keep = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => thrown.push(error.message));
  const counts = [];
  live.subscribe((rows) => {
    if (rows.length) throw new Error("my own mistake");
  });
  live.subscribe((rows) => counts.push(rows.length));
  try {
    await db.insert("Todo", { title });
    await until(() => counts.at(-1) === 1 && thrown.length);
    assert.deepEqual([...new Set(thrown)], ["my own mistake"]);
    assert.equal(db.status, "live");
  } finally {
    await pause(50);
    process.removeAllListeners("uncaughtException");
    for (const listener of keep) process.on("uncaughtException", listener);
  }
});

test("rows that change hands leave one reader and reach the other", async () => {
  const [ann, bob] = [await client(unique("ann")), await client(unique("bob"))];
  const [annId, bobId] = [ann.user.user_id, bob.user.user_id];
  const [mine, theirs] = [await loaded(ann, "Private"), await loaded(bob, "Private")];
  const { id } = await ann.insert("Private", { text: "secret", holder: annId });
  await until(() => mine.rows[0]?.id === id);
  await pause(50);
  assert.deepEqual(theirs.rows, []);
  await ann.update("Private", id, { holder: bobId });
  await until(() => theirs.rows.length === 1 && mine.rows.length === 0);
  assert.equal(theirs.rows[0].text, "secret");
});

test("a confirmed write whose row the writer may not read leaves its view", async () => {
  const ann = await client(unique("ann"));
  const mine = await loaded(ann, "Private");
  const written = ann.insert("Private", { text: "for bob", holder: "bob" });
  assert.equal(mine.rows.length, 1);
  await written;
  await until(() => mine.rows.length === 0, "the pull that moves the cursor past it");
});

// ── Catching up ──────────────────────────────────────────────────────────────────────────────────────────────────

test("a snapshot of many pages is complete", async () => {
  const ann = await client("ann");
  const title = unique("page");
  await Promise.all(Array.from({ length: 25 }, () => ann.insert("Todo", { title })));
  const size = Math.ceil((await fresh(ann, "Todo")).length / 8);
  network.before = (path) => (isPull(path) ? path.replace("page_size=1000", `page_size=${size}`) : undefined);
  const bob = await client("bob");
  const live = await loaded(bob, "Todo");
  assert.ok(network.requests.filter(({ path }) => path.includes("snapshot_after=")).length >= 3);
  assert.deepEqual(live.rows, await fresh(bob, "Todo"));
});

test("what is written while the socket is away arrives after the reconnect, each change once", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("gap");
  const live = await loaded(bob, "Todo", { where: { title } });
  const { id } = await ann.insert("Todo", { title });
  await until(() => live.rows.length === 1);
  const states = [];
  bob.onStatus((status) => states.push(status));
  dropSockets(1012);
  await ann.update("Todo", id, { done: true });
  await ann.insert("Todo", { title });
  await until(() => live.rows.length === 2 && live.rows[0].done && bob.status === "live");
  assert.deepEqual(states, ["live", "connecting", "live"]);
});

test("what is written between the pull's answer and the next event is not lost", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("between");
  let written = 0;
  network.after = async (path, response) => {
    if (isPull(path) && written < 4) await ann.insert("Todo", { title: `${title}${(written += 1)}` });
    return response;
  };
  const live = await loaded(bob, "Todo", { where: (row) => row.title.startsWith(title) });
  dropSockets(1006);
  await until(() => written >= 3 && bob.status === "live" && live.rows.length === written);
});

test("events that overtake a slow pull are neither lost nor undone by it", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("slow");
  const { id } = await ann.insert("Todo", { title });
  network.after = async (path, response) => {
    if (isPull(path)) await pause(150); // the answer is old by the time it is read
    return response;
  };
  const live = bob.live("Todo", { where: { title } });
  for (let i = 0; i < 10; i += 1) {
    await ann.update("Todo", id, { done: i % 2 === 0 });
    await pause(30);
  }
  await ann.delete("Todo", id);
  await until(() => bob.status === "live");
  await until(() => live.rows.length === 0);
  await pause(300);
  assert.deepEqual(live.rows, []);
});

test("an event that comes while the gap is still being pulled does not hide the gap", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("hidden");
  const live = await loaded(bob, "Todo", { where: { title } });
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  const pulls = [];
  network.before = async (path) => {
    if (!isPull(path)) return;
    pulls.push(path);
    await held;
  };
  dropSockets(1006);
  await ann.insert("Todo", { title, done: false }); // in the gap
  await until(() => pulls.length > 0 && network.sockets.size > 0, "the new socket");
  await ann.insert("Todo", { title, done: true }); // on the new socket, before the pull's answer
  await pause(100);
  letGo();
  await until(() => bob.status === "live" && live.rows.length > 0);
  assert.deepEqual(live.rows.map((row) => row.done), [false, true]);
});

test("an answer that never ends because the page was frozen holds up nothing once it goes on", async (t) => {
  globalThis.document = new EventTarget();
  t.after(() => delete globalThis.document);
  const [db, other] = [await client("ann"), await client("ben")];
  const title = unique("thawed");
  const live = await loaded(db, "Todo", { where: { title } });
  let hangs = false;
  network.before = (path, { signal }) => {
    if (!isPull(path) || hangs) return undefined;
    hangs = true;
    return new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  };
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange")); // pulls
  await until(() => hangs);
  dropSockets();
  await other.insert("Todo", { title });
  document.dispatchEvent(new Event("resume"));
  await until(() => live.rows.length === 1 && db.status === "live");
});

test("an event that the replica has already is not applied again", async () => {
  const db = await client("ann");
  const title = unique("replay");
  const frames = [];
  const live = await loaded(db, "Todo", { where: { title } });
  for (const socket of network.sockets) {
    const receive = socket.onmessage;
    socket.onmessage = (event) => (frames.push(event), receive(event));
  }
  const { id } = await db.insert("Todo", { title });
  await db.update("Todo", id, { done: true });
  await until(() => frames.filter(({ data }) => data.includes(id)).length === 2);
  for (const socket of network.sockets) socket.onmessage(frames.find(({ data }) => data.includes(id)));
  assert.equal(live.rows[0].done, true);
});

test("a cursor that the server no longer knows leads to a fresh snapshot", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("resync");
  const live = await loaded(bob, "Todo", { where: { title } });
  const { id } = await ann.insert("Todo", { title });
  await until(() => live.rows.length === 1);
  let refusals = 1;
  network.before = (path) => (isPull(path) && !path.includes("since=0") && refusals-- > 0 ? failure(410, "RESYNC_REQUIRED") : undefined);
  const emptied = [];
  live.subscribe((rows) => emptied.push(rows.length));
  dropSockets(1006);
  await ann.delete("Todo", id);
  await ann.insert("Todo", { title });
  await until(() => bob.status === "live" && live.rows.length === 1 && live.rows[0].id !== id);
  assert.ok(!emptied.includes(0) || live.rows.length === 1);
});

test("maintenance is shown as such and ends by itself", async () => {
  const db = await client("ann");
  await loaded(db, "Todo");
  let closed = true;
  network.before = (path) => (closed ? failure(503, "MAINTENANCE", { "Retry-After": "0" }) : undefined);
  dropSockets(1012);
  await until(() => db.status === "maintenance");
  closed = false;
  await until(() => db.status === "live");
});

test("replicas equal a fresh query after random writes and random disconnects", async () => {
  const dbs = [await client("u1"), await client("u2"), await client("u3")];
  const lives = await Promise.all(dbs.map((db) => loaded(db, "Todo")));
  const realRandom = Math.random;
  let state = 42;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  Math.random = () => realRandom() * 0.05; // short backoff
  const prefix = unique("chaos");
  let losses = 10;
  network.after = (path) => {
    if (isPush(path) && losses > 0 && random() < 0.2 && losses--) throw new TypeError("connection reset");
  };
  try {
    for (let round = 0; round < 120; round += 1) {
      const i = Math.floor(random() * 3);
      const own = lives[i].rows.filter((row) => row.title.startsWith(prefix));
      const dice = random();
      const pick = own[Math.floor(random() * own.length)];
      const ignore = (promise) => promise.catch((error) => assert.equal(error.code, "NOT_FOUND"));
      if (dice < 0.5 || !pick) ignore(dbs[i].insert("Todo", { title: `${prefix}${round}` }));
      else if (dice < 0.8) ignore(dbs[i].update("Todo", pick.id, { done: random() < 0.5 }));
      else ignore(dbs[i].delete("Todo", pick.id));
      if (random() < 0.05) dropSockets(random() < 0.5 ? 1013 : 1006);
      await pause(random() * 10);
    }
    await until(() => dbs.every((db) => db.pending === 0 && db.status === "live"), "quiet", 20_000);
    const truth = JSON.stringify(await fresh(dbs[0], "Todo"));
    await until(() => lives.every((live) => JSON.stringify(live.rows) === truth), "equal replicas");
  } finally {
    Math.random = realRandom;
  }
});

// ── Sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("a guest keeps its session when it asks again", async () => {
  const db = await client();
  const first = await db.guest();
  assert.match(first.user_id, /^guest_/);
  assert.equal((await db.guest()).user_id, first.user_id);
  assert.equal((await db.me()).user_id, first.user_id);
});

test("signing in as somebody else drops the former rows and the unconfirmed writes", async () => {
  const db = await client(unique("ann"));
  const live = await loaded(db, "Private");
  await db.insert("Private", { text: "mine", holder: db.user.user_id });
  assert.equal(live.rows.length, 1);
  const bob = unique("bob");
  const token = await tokenOf(bob);
  network.before = async (path) => (isPush(path) ? pause(300) : undefined);
  const sessions = [];
  db.onSession((session) => sessions.push(session.user_id));
  const pending = db.insert("Private", { text: "late", holder: db.user.user_id });
  pending.catch(() => {});
  const changed = db.use(token);
  await assert.rejects(pending, coded("SESSION_CHANGED"));
  assert.deepEqual(live.rows, []);
  await changed;
  await until(() => db.status === "live");
  assert.deepEqual(live.rows, []);
  assert.deepEqual(sessions, [bob]);
});

test("a revoked session is forgotten and its rows with it", async () => {
  const db = await client(unique("ann"));
  const live = await loaded(db, "Private");
  await db.insert("Private", { text: "mine", holder: db.user.user_id });
  await fetch(`${process.env.PYLON_URL}/api/auth/session`, { method: "DELETE", headers: { Authorization: `Bearer ${db.token}` } });
  dropSockets(1008);
  await until(() => db.token === null && live.rows.length === 0 && db.status === "live");
  assert.equal(db.user.user_id, null);
});

const revoke = (token) => fetch(`${process.env.PYLON_URL}/api/auth/session`, { method: "DELETE", headers: { Authorization: `Bearer ${token}` } });

test("a session that ends between our asking and our pulling moves no cursor and is given up openly", async () => {
  const ann = unique("ann");
  const db = await client(ann);
  const live = await loaded(db, "Private");
  const sessions = [];
  db.onSession(({ user_id }) => sessions.push(user_id));
  const pulls = [];
  let isAlive = true;
  network.before = async (path) => {
    if (isPull(path) && isAlive) await revoke(db.token);
    if (isPull(path)) isAlive = false;
  };
  network.after = (path, response) => void (isPull(path) && pulls.push(response.status));
  dropSockets();
  await until(() => db.token === null && db.status === "live");
  assert.equal(pulls[0], 401);
  assert.deepEqual(sessions, [null]);
  assert.deepEqual(live.rows, []);
});

test("what waits in the queue of a session that has ended is sent as nobody else", async () => {
  const db = await client(unique("ann"));
  const title = unique("never");
  await loaded(db, "Todo");
  for (const socket of network.sockets) socket.onclose = null; // we don't hear of it
  await revoke(db.token);
  await assert.rejects(db.insert("Todo", { title }), coded("SESSION_CHANGED"));
  assert.equal(db.token, null);
  assert.deepEqual((await fresh(db, "Todo")).filter((row) => row.title === title), []);
});

test("a call with a dead token is not carried out as nobody", async () => {
  const db = await client(unique("ann"));
  await revoke(db.token);
  await assert.rejects(db.call("counts", {}), coded("SESSION_EXPIRED"));
  await until(() => db.token === null);
  assert.ok(await db.call("counts", {})); // and now openly
});

test("a guest's session that became another user's leads to that user's rows", async () => {
  const db = await client();
  await db.guest();
  const live = await loaded(db, "Private");
  await db.insert("Private", { text: "a guest's", holder: db.user.user_id });
  const [guest, member] = [db.user.user_id, unique("member")];
  network.after = async (path, response) => {
    if (path !== "/api/auth/me") return response;
    return new Response(JSON.stringify({ ...(await response.json()), user_id: member }));
  };
  network.before = (path, { headers }) => {
    if (isPull(path) && headers["X-Pylon-Expect-User"] !== member) return failure(401, "SESSION_CHANGED");
    if (isPull(path)) headers["X-Pylon-Expect-User"] = "*"; // the server goes on taking us for the guest
  };
  dropSockets();
  await until(() => db.user.user_id === member && db.status === "live");
  assert.notEqual(db.user.user_id, guest);
  const first = network.requests.find(({ path }) => isPull(path) && path.includes("since=0") && path.includes("page_size"));
  assert.ok(first);
  assert.ok(live.rows.every(({ holder }) => holder === guest)); // what the server shows now, and shown anew
});

test("rights that changed while nobody told lead to a fresh pull, once", async () => {
  const db = await client(unique("ann"));
  const live = await loaded(db, "Todo");
  network.after = async (path, response) => {
    if (path !== "/api/auth/me") return response;
    return new Response(JSON.stringify({ ...(await response.json()), roles: ["editor"] }));
  };
  network.requests.length = 0;
  await db.me();
  await db.me();
  dropSockets();
  await until(() => db.status === "live" && network.sockets.size === 1 && !live.loading);
  await db.me();
  assert.equal(network.requests.filter(({ path }) => path.startsWith("/api/sync/pull?since=0")).length, 1);
});

test("a session-changed frame leads to a fresh pull", async () => {
  const db = await client("ann");
  const title = unique("tenant");
  const live = await loaded(db, "Todo", { where: { title } });
  await db.insert("Todo", { title });
  network.requests.length = 0;
  for (const socket of network.sockets) socket.onmessage?.({ data: '{"type":"session-changed","tenant_id":null}' });
  await until(() => network.requests.some(({ path }) => path.startsWith("/api/sync/pull?since=0")) && live.rows.length === 1);
});

// ── Functions and streams ────────────────────────────────────────────────────────────────────────────────────────

test("a called function's writes are in the live rows when the call returns", async () => {
  const db = await client("ann");
  const title = unique("called");
  const live = await loaded(db, "Todo", { where: { title } });
  const row = await db.call("add", { title });
  assert.deepEqual(live.rows, [row]);
});

test("a function's error carries its code", async () => {
  const db = await client("ann");
  await assert.rejects(db.call("add", {}), coded("INVALID_ARGS"));
  await assert.rejects(db.call("nope"), (error) => error instanceof PylonError && error.status === 404);
});

test("a stream yields its frames and returns its result", async () => {
  const db = await client("ann");
  const stream = db.stream("poem", {});
  const text = [];
  let step = await stream.next();
  for (; !step.done; step = await stream.next()) if (step.value.event === "message") text.push(step.value.data);
  assert.deepEqual(text, ["ein Weg, ü", "two\nlines"]);
});

test("a stream that fails throws the server's code", async () => {
  const db = await client("ann");
  const seen = [];
  await assert.rejects(async () => {
    for await (const frame of db.stream("poem", { fail: true })) seen.push(frame.data);
  }, coded("BOOM"));
  assert.ok(seen.length > 0);
});

test("leaving a stream early ends the request", async () => {
  const db = await client("ann");
  for await (const frame of db.stream("poem", {})) {
    assert.equal(frame.data, "ein Weg, ü");
    break;
  }
});

test("a stream that breaks off is an error and a plain answer is a result", async () => {
  const db = await client("ann");
  network.before = (path) => (path === "/api/fn/poem" ? new Response("data: half\n\n", { headers: { "Content-Type": "text/event-stream" } }) : undefined);
  await assert.rejects(async () => {
    for await (const _ of db.stream("poem", {}));
  }, coded("STREAM_INTERRUPTED"));
  network.before = (path) => (path === "/api/fn/poem" ? Response.json({ plain: true }) : undefined);
  assert.deepEqual(await db.stream("poem", {}).next(), { done: true, value: { plain: true } });
});

test("events parse the same however the bytes are cut", async () => {
  const text = ': hb\n\nid: 1\ndata: ü😀\n\nevent: progress\r\ndata: {"p":1}\r\n\r\ndata: a\ndata:b\ndata\n\nid: 9\n\nevent: result\ndata: null\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const parts = [];
    for (let at = 0; at < bytes.length; at += size) parts.push(bytes.slice(at, at + size));
    const frames = [];
    for await (const frame of parseEvents(new Blob(parts).stream())) frames.push(frame);
    assert.deepEqual(frames, [
      { id: "1", event: "message", data: "ü😀" },
      { id: null, event: "progress", data: '{"p":1}' },
      { id: null, event: "message", data: "a\nb\n" },
      { id: null, event: "result", data: "null" },
    ]);
  }
});
