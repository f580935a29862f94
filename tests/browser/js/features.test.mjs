// Scopes, rooms, live functions and shared texts of pylon.js against a real server. Run by test_pylon_js.py.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { afterEach, test } from "node:test";
import { calm, client, closeAll, dropSockets, loaded, network, tokenOf, unique, until } from "./harness.mjs";

const send = globalThis.fetch;
globalThis.fetch = async (target, init) =>
  String(target).startsWith("file:") ? new Response(await readFile(target), { headers: { "Content-Type": "application/wasm" } }) : send(target, init);

afterEach(() => {
  closeAll();
  calm();
});

const quick = (t) => {
  const realRandom = Math.random;
  Math.random = () => realRandom() * 0.05; // short waits
  t.after(() => (Math.random = realRandom));
};

// ── Scopes ───────────────────────────────────────────────────────────────────────────────────────────────────────

test("a scope holds what it names and follows it live, and may be changed", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const title = unique("scope");
  await ann.insert("Todo", { title, done: false });
  const { id: ready } = await ann.insert("Todo", { title, done: true });
  await ann.insert("Note", { title });
  const todos = bob.live("Todo", { where: { title } });
  const notes = bob.live("Note", { where: { title } });
  await bob.scope({ Todo: { done: false } });
  await until(() => bob.status === "live" && todos.rows.length === 1);
  assert.deepEqual(notes.rows, []);
  await ann.insert("Todo", { title, done: false });
  await ann.insert("Todo", { title, done: true });
  await until(() => todos.rows.length === 2);
  await ann.update("Todo", ready, { done: false });
  await until(() => todos.rows.length === 3, "a row that comes into the scope");
  await ann.update("Todo", ready, { done: true });
  await until(() => todos.rows.length === 2, "a row that leaves it");
  network.requests.length = 0;
  await bob.scope({ Todo: { done: false }, Note: {} });
  assert.deepEqual([todos.rows.length, notes.rows.length], [2, 1]);
  const again = network.requests.filter(({ path }) => path.includes("since=0")).map(({ path }) => decodeURIComponent(path.split("scope=")[1]));
  assert.deepEqual(again, ['{"Note":{}}'], "only what is new was fetched");
  await ann.insert("Note", { title });
  await until(() => notes.rows.length === 2);
  await bob.scope({ Note: {} });
  assert.deepEqual([todos.rows.length, notes.rows.length], [0, 2]);
  await bob.scope(null);
  assert.deepEqual([todos.rows.length, notes.rows.length], [4, 2]);
});

// ── Live functions ───────────────────────────────────────────────────────────────────────────────────────────────

test("a live function's result is pushed when what it read changes, and after a reconnect", async (t) => {
  quick(t);
  const [ann, bob] = [await client("ann"), await client("bob")];
  const prefix = unique("count");
  const live = bob.liveFn("counts", { prefix });
  assert.deepEqual(await live.ready, { done: 0, open: 0, oldest: null });
  const { id } = await ann.insert("Todo", { title: `${prefix}1` });
  await until(() => live.value.open === 1 && live.value.oldest.id === id);
  dropSockets(1006);
  await ann.update("Todo", id, { done: true });
  await until(() => live.value.done === 1);
  live.close();
});

test("a live function that does not exist, or writes, says so", async () => {
  const db = await client("ann");
  await assert.rejects(db.liveFn("nope").ready, ({ code }) => code === "FN_NOT_FOUND");
  await assert.rejects(db.liveFn("add", { title: "x" }).ready);
});

// ── Rooms ────────────────────────────────────────────────────────────────────────────────────────────────────────

test("who is in a room sees who comes, what they show and say, and who goes", async (t) => {
  quick(t);
  const users = [unique("ann"), unique("bob")];
  const [ann, bob] = [await client(users[0]), await client(users[1])];
  const name = unique("room");
  const seen = (room) => Object.fromEntries(room.members.map(({ user_id, data }) => [user_id, data]));
  const mine = ann.room(name, { data: { colour: "red" } });
  await until(() => mine.joined && mine.members.length === 1);
  const theirs = bob.room(name, { data: { colour: "blue" } });
  await until(() => theirs.joined && mine.members.length === 2);
  assert.deepEqual(seen(theirs), { [users[0]]: { colour: "red" }, [users[1]]: { colour: "blue" } });
  theirs.set({ colour: "blue", typing: true });
  await until(() => seen(mine)[users[1]]?.typing);
  const heard = [];
  mine.on("ping", (data, from) => heard.push([data, from]));
  assert.equal(await theirs.broadcast("ping", 1), true);
  theirs.send("ping", 2);
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [[1, users[1]], [2, users[1]]]);
  dropSockets(1006); // both lose their socket, and are back in
  await until(() => [mine, theirs].every((room) => room.joined && room.members.length === 2));
  await until(() => seen(mine)[users[1]]?.typing, "what is shown survives the connection");
  theirs.leave();
  await until(() => mine.members.length === 1);
});

test("who is sent out of a room hears it, and stays out over a new connection", async (t) => {
  quick(t);
  const users = [unique("ann"), unique("bob")];
  const [ann, bob] = [await client(users[0]), await client(users[1])];
  const name = unique("room");
  const [mine, theirs] = [ann.room(name), bob.room(name)];
  await until(() => [mine, theirs].every((room) => room.joined && room.members.length === 2));
  const heard = [];
  mine.on("gone", (data, from) => heard.push([data, from]));
  await ann.call("send_out", { room: name, user: users[1] });
  await until(() => theirs.error?.code === "REMOVED_FROM_ROOM" && !theirs.joined && mine.members.length === 1);
  await until(() => heard.length === 1);
  assert.deepEqual(heard, [[users[1], null]]); // said by the app itself
  dropSockets(1006);
  await until(() => bob.status === "live");
  while (heard.length < 2) await ann.call("send_out", { room: name, user: "nobody" }); // until she is back
  assert.deepEqual([mine.members.length, theirs.members, theirs.joined], [1, [], false]);
});

test("nobody is in a room without a session", async () => {
  const db = await client();
  const room = db.room(unique("room"));
  await until(() => room.error?.code === "AUTH_REQUIRED");
  assert.equal(room.joined, false);
});

// ── Shared texts ─────────────────────────────────────────────────────────────────────────────────────────────────

test("two edit one text, one of them offline for a while, and the row says the same", async (t) => {
  quick(t);
  const [ann, bob] = [await client("ann"), await client("bob")];
  const { id } = await ann.insert("Note", { title: unique("text"), body: "hello" });
  const rows = await loaded(ann, "Note", { where: { id } });
  const [mine, theirs] = [ann.text("Note", id, "body"), bob.text("Note", id, "body")];
  assert.deepEqual(await Promise.all([mine.ready, theirs.ready]), ["hello", "hello"]);
  mine.splice(5, 0, " 😀 Ann");
  theirs.splice(0, 0, "Bob ");
  await until(() => mine.value === "Bob hello 😀 Ann" && theirs.value === mine.value);
  await until(() => rows.rows[0].body === mine.value, "the column");
  const off = bob.token;
  network.before = (path, init) => {
    if (init.headers?.Authorization === `Bearer ${off}`) throw new TypeError("offline");
  };
  theirs.set("Bob says hello 😀 Ann");
  mine.splice(mine.value.length, 0, "!");
  await until(() => rows.rows[0].body === "Bob hello 😀 Ann!");
  network.before = null;
  await until(() => mine.value === "Bob says hello 😀 Ann!" && theirs.value === mine.value);
  await until(() => rows.rows[0].body === mine.value);
});

test("a write by another door reaches the text, and an edit that is refused is taken back", async () => {
  const [ann, bob] = [await client("ann"), await client("bob")];
  const { id } = await ann.insert("Note", { title: unique("text"), body: "one two" });
  const text = bob.text("Note", id, "body");
  await text.ready;
  await ann.update("Note", id, { body: "one, two" });
  await until(() => text.value === "one, two");
  await ann.update("Note", id, { locked: true });
  text.set("mine");
  await until(() => text.error?.code === "POLICY_DENIED" && text.value === "one, two");
});
