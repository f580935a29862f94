// The parts of pylon.js by themselves: no server, no browser. Run by test_pylon_js.py.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Documents, loadLoro, readFrame } from "../../../src/pylon/web/static/pylon/documents.js";
import { PylonError } from "../../../src/pylon/web/static/pylon/errors.js";
import { LiveFunction } from "../../../src/pylon/web/static/pylon/functions.js";
import { generateId } from "../../../src/pylon/web/static/pylon/ids.js";
import { Live } from "../../../src/pylon/web/static/pylon/live.js";
import { Queue } from "../../../src/pylon/web/static/pylon/queue.js";
import { Replica } from "../../../src/pylon/web/static/pylon/replica.js";
import { Room } from "../../../src/pylon/web/static/pylon/rooms.js";
import { CollabText, difference } from "../../../src/pylon/web/static/pylon/text.js";

globalThis.fetch = async (url) => new Response(await readFile(url), { headers: { "Content-Type": "application/wasm" } }); // files, which node's own refuses

const pause = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));
/** Waits until it holds. */
async function until(condition, ms = 5000) {
  for (const end = Date.now() + ms; !condition(); await pause(2)) if (Date.now() > end) throw new Error(`never true: ${condition}`);
}
const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** Numbers that are the same in every run with this seed. */
function dice(seed) {
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { random, below: (n) => Math.floor(random() * n), pick: (list) => list[Math.floor(random() * list.length)] };
}

// ── The rebase law ───────────────────────────────────────────────────────────────────────────────────────────────

/** As much of a server as the law needs: rows, a log, and op_ids that are known again. */
class Server {
  rows = new Map();
  log = [];
  ops = new Map();

  write({ op_id, kind, row_id, data }) {
    if (this.ops.has(op_id)) return { ...this.ops.get(op_id), status: "replayed" };
    const before = this.rows.get(row_id);
    if (kind === "insert" ? before : !before) return { status: "error", error: { code: before ? "CONFLICT" : "NOT_FOUND", message: "" } };
    if (data?.colour) return { status: "error", error: { code: "INVALID_COLUMN", message: "" } };
    const after = kind === "delete" ? before : { done: false, ...before, ...data, id: row_id };
    if (kind === "delete") this.rows.delete(row_id);
    else this.rows.set(row_id, after);
    const seq = this.log.length + 1;
    this.log.push({ seq, entity: "Todo", row_id, kind, data: after });
    const result = { status: "applied", row_id, seq };
    this.ops.set(op_id, result);
    return result;
  }
}

/** A client whose answers and events come late, or whose answers are lost. */
function clientOf(server, name, { random, below }) {
  const replica = new Replica();
  replica.needsSnapshot = false;
  const http = {
    async json(_method, _path, { changes }) {
      await pause(below(3));
      if (random() < 0.15) throw new PylonError("NETWORK", "lost on the way there");
      const results = changes.map((change) => server.write(structuredClone(change)));
      await pause(below(3));
      if (random() < 0.25) throw new PylonError("NETWORK", "lost on the way back");
      return { results };
    },
  };
  const hooks = { prepare: async () => {}, mayPush: () => true, keep() {}, drop() {}, share() {}, confirmed() {}, refused() {}, trouble() {} };
  const queue = new Queue(http, replica, name, hooks);
  queue.pause = () => pause(below(3));
  /** Brings some of the events that are missing. */
  const hear = (count = Infinity) => server.log.slice(replica.cursor, replica.cursor + count).forEach((change) => replica.apply(change));
  return { replica, queue, hear };
}

test("after quiet, what is shown equals what the server has, whatever was lost, refused or late (40 seeds)", async () => {
  await Promise.all(
    Array.from({ length: 40 }, async (_, seed) => {
      const die = dice(seed + 1);
      const server = new Server();
      const clients = ["a", "b", "c"].map((name) => clientOf(server, name, die));
      const views = clients.map(({ replica }) => new Live(replica, "Todo", { order: "title" }));
      for (let step = 0; step < 60; step += 1) {
        const { replica, queue, hear } = die.pick(clients);
        const shown = [...replica.rows("Todo")];
        const row = die.pick(shown);
        const action = die.random();
        const ignore = (promise) => promise.catch((error) => assert.ok(["NOT_FOUND", "INVALID_COLUMN", "CONFLICT"].includes(error.code), error.code));
        if (action < 0.35 || !row) ignore(queue.write("insert", "Todo", generateId(), { title: `t${step}` }));
        else if (action < 0.65) ignore(queue.write("update", "Todo", row.id, { title: `u${step}`, ...(die.random() < 0.15 && { colour: "red" }) }));
        else if (action < 0.75) ignore(queue.write("delete", "Todo", row.id));
        else hear(die.below(4));
        if (die.random() < 0.5) await pause();
      }
      for (const { queue } of clients) while (queue.writes.length) await pause(1);
      for (const { hear } of clients) hear();
      const truth = [...server.rows.values()].sort((x, y) => (x.title < y.title ? -1 : x.title > y.title ? 1 : x.id < y.id ? -1 : 1));
      clients.forEach(({ replica }, i) => {
        assert.deepEqual(views[i].rows, truth, `seed ${seed}`);
        assert.equal(replica.confirmed.size + replica.writes.size, 0, `seed ${seed}: nothing is laid over any more`);
      });
      const inserted = server.log.filter(({ kind }) => kind === "insert").map(({ row_id }) => row_id);
      assert.equal(new Set(inserted).size, inserted.length, `seed ${seed}: nothing was applied twice`);
    }),
  );
});

test("a view that looks again at changed rows only equals one that looks at all (200 rounds)", () => {
  const { below, pick, random } = dice(7);
  const replica = new Replica();
  const options = { where: { done: false }, order: ["-rank", "title"], limit: 5 };
  const live = new Live(replica, "Todo", options);
  const ids = Array.from({ length: 12 }, generateId);
  for (let seq = 1; seq <= 200; seq += 1) {
    const data = { title: `t${below(3)}`, rank: pick([null, 1, 2, 3]), done: random() < 0.3 };
    replica.apply({ seq, entity: "Todo", row_id: pick(ids), kind: random() < 0.2 ? "delete" : "insert", data });
    if (random() < 0.5) continue;
    assert.deepEqual(live.rows, new Live(replica, "Todo", options).rows);
  }
});

test("a conflict is what others set, not what our own earlier write set", () => {
  const replica = new Replica();
  const told = [];
  replica.collided = ({ fields, theirs }) => told.push([fields, theirs?.title ?? null]);
  const write = (order, data) => ({ order, op_id: order, entity: "Todo", row_id: "1", kind: "update", data, seq: Infinity, sent: false });
  replica.apply({ seq: 1, entity: "Todo", row_id: "1", kind: "insert", data: { title: "a", done: false } });
  replica.add(write("1", { title: "b" }));
  replica.add(write("2", { title: "c" }));
  replica.apply({ seq: 2, entity: "Todo", row_id: "1", kind: "update", data: { title: "b", done: false } });
  assert.deepEqual(told, []);
  replica.apply({ seq: 3, entity: "Todo", row_id: "1", kind: "update", data: { title: "b", done: true } });
  assert.deepEqual(told, []);
  replica.apply({ seq: 4, entity: "Todo", row_id: "1", kind: "update", data: { title: "theirs", done: true } });
  assert.deepEqual(told, [[["title"], "theirs"], [["title"], "theirs"]]);
  replica.apply({ seq: 5, entity: "Todo", row_id: "1", kind: "delete" });
  assert.deepEqual(told.slice(2), [[["title"], null], [["title"], null]]);
});

test("a queue that is full takes no more, and says so", async () => {
  const { queue } = clientOf(new Server(), "a", dice(1));
  queue.sending = true; // nothing leaves
  for (let i = 0; i < 20_000; i += 1) queue.writes.push({ order: "" });
  await assert.rejects(queue.write("insert", "Todo", "1", {}), ({ code }) => code === "QUEUE_FULL");
});

// ── Texts ────────────────────────────────────────────────────────────────────────────────────────────────────────

test("a binary frame is read as specified, and nothing else is", () => {
  const frame = readFrame(hex("1000074d65737361676500076d73675f313233abcdef").buffer);
  assert.deepEqual([frame.entity, frame.id, [...frame.payload]], ["Message", "msg_123", [0xab, 0xcd, 0xef]]);
  for (const bad of ["", "10", "12000141000141", "10000741", "1000014100ff41"]) assert.equal(readFrame(hex(bad).buffer), null);
});

test("the difference of two texts is what was typed, at the caret, and never half a character", () => {
  assert.deepEqual(difference("hello", "help"), [3, 2, "p"]);
  assert.deepEqual(difference("aaa", "aaaa", 2), [1, 0, "a"]);
  assert.deepEqual(difference("aaa", "aaaa"), [3, 0, "a"]);
  assert.deepEqual(difference("x", "x"), [1, 0, ""]);
  assert.deepEqual(difference("😀", "😁"), [0, 2, "😁"]);
  const { below, pick } = dice(3);
  const letters = ["a", "b", "😀", "😁", "ü"];
  const text = () => Array.from({ length: below(8) }, () => pick(letters)).join("");
  for (let round = 0; round < 2000; round += 1) {
    const [old, now] = [text(), text()];
    const [at, gone, come] = difference(old, now, below(now.length + 1));
    assert.equal(old.slice(0, at) + come + old.slice(at + gone), now);
    assert.ok(!/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(come));
  }
});

/** A server's document, and what of `Documents` a text needs: posts arrive unless it is offline. */
async function room(texts = { body: "hello" }) {
  const { LoroDoc, LoroText } = await loadLoro();
  const master = new LoroDoc();
  for (const [name, value] of Object.entries(texts)) master.getMap("row").setContainer(name, new LoroText()).insert(0, value);
  master.commit();
  const all = [];
  const state = { offline: false, lost: 0, refuse: false, master };
  const frame = (payload) => {
    const head = hex("1000044e6f746500027231"); // Note r1
    const bytes = new Uint8Array(head.length + payload.length);
    bytes.set(head);
    bytes.set(payload, head.length);
    return bytes.buffer;
  };
  const open = () => {
    const subscriptions = { own: new Map(), sync: { isOpen: true }, add: (key, one) => (subscriptions.own.set(key, one), documents.receiveSoon()), remove() {}, begin: () => documents.receiveSoon() };
    const http = {
      async send(_method, path, { update }) {
        assert.equal(path, "/api/crdt/Note/r1");
        await pause(1);
        if (state.offline) {
          state.lost += 1;
          throw new PylonError("NETWORK", "offline");
        }
        if (state.refuse) return new Response(JSON.stringify({ error: { code: "POLICY_DENIED", message: "no" } }), { status: 403 });
        const from = master.oplogVersion();
        master.import(hex(update));
        for (const one of all) one.receive(frame(master.export({ mode: "update", from })));
        return Response.json({ ok: true });
      },
    };
    const documents = new Documents(http, subscriptions, { disk: () => null, prepare: async () => {}, share() {} });
    documents.receiveSoon = () => setTimeout(() => documents.receive(frame(master.export({ mode: "snapshot" }))), 1);
    all.push(documents);
    return documents;
  };
  return { state, open, master: () => master.getMap("row").get("body").toString() };
}

test("two who edit one text have the same in the end, also after one was offline", async () => {
  const { state, open, master } = await room();
  const [ann, bob] = [open(), open()].map((documents) => new CollabText(documents, "Note", "r1", "body"));
  assert.equal(await ann.ready, "hello");
  assert.equal(await bob.ready, "hello");
  ann.splice(5, 0, " Ann 😀");
  bob.splice(0, 0, "Bob ");
  await until(() => [ann.value, bob.value, master()].every((value) => value === "Bob hello Ann 😀"));
  state.offline = true;
  ann.set("Bob hello Ann 😀, offline");
  bob.set("Bob says hello Ann 😀");
  await until(() => state.lost >= 2);
  state.offline = false;
  const realRandom = Math.random;
  Math.random = () => 0.01;
  for (const text of [ann, bob]) text.set(`${text.value}!`); // anything sends what waits
  await until(() => ann.value === bob.value && ann.value === master() && master().split("!").length === 3);
  Math.random = realRandom;
  assert.equal(ann.value, bob.value);
  assert.equal(ann.value, master());
  assert.match(master(), /^Bob says hello Ann 😀/);
  assert.match(master(), /, offline/);
});

test("an edit that is refused is taken back and says why", async () => {
  const { state, open } = await room();
  const text = new CollabText(open(), "Note", "r1", "body");
  await text.ready;
  state.refuse = true;
  text.set("not allowed");
  assert.equal(text.value, "not allowed");
  await until(() => text.value === "hello");
  assert.equal(text.error.code, "POLICY_DENIED");
});

test("a row that was deleted and made again has its new text, and nothing of the former", async () => {
  const { state, open } = await room();
  const documents = open();
  const text = new CollabText(documents, "Note", "r1", "body");
  await text.ready;
  text.set("hello, old");
  await until(() => text.saved);
  const { LoroDoc, LoroText } = await loadLoro();
  const again = new LoroDoc();
  again.getMap("row").setContainer("body", new LoroText()).insert(0, "brand new");
  again.commit();
  const bytes = again.export({ mode: "snapshot" });
  const frame = new Uint8Array([...hex("1000044e6f746500027231"), ...bytes]);
  documents.receive(frame.buffer); // what subscribing again brings
  assert.equal(text.value, "brand new");
  assert.equal(state.lost, 0);
});

/** As much of a textarea as `bind` touches. */
class Area extends EventTarget {
  constructor() {
    super();
    Object.assign(this, { value: "", selectionStart: 0, selectionEnd: 0, selectionDirection: "none", scrollTop: 0, readOnly: false, ownerDocument: { activeElement: this } });
  }
  setSelectionRange(start, end) {
    [this.selectionStart, this.selectionEnd] = [start, end];
  }
  say(type) {
    this.dispatchEvent(new Event(type));
  }
  type(at, gone, come) {
    this.value = this.value.slice(0, at) + come + this.value.slice(at + gone);
    this.setSelectionRange(at + come.length, at + come.length);
    this.say("input");
  }
}

test("what others write moves the caret with its word, and waits while a character is composed", async () => {
  const { open } = await room({ body: "one two three" });
  const [ann, bob] = [open(), open()].map((documents) => new CollabText(documents, "Note", "r1", "body"));
  const area = new Area();
  const unbind = ann.bind(area);
  assert.equal(area.readOnly, true);
  await Promise.all([ann.ready, bob.ready]);
  assert.deepEqual([area.value, area.readOnly], ["one two three", false]);
  area.setSelectionRange(4, 7); // "two"
  bob.splice(0, 0, "😀 zero ");
  bob.splice(bob.value.length, 0, " four");
  await until(() => area.value === "😀 zero one two three four");
  assert.equal(area.value.slice(area.selectionStart, area.selectionEnd), "two");
  area.type(area.selectionStart, 3, "2");
  await until(() => bob.value === "😀 zero one 2 three four");
  area.say("compositionstart");
  area.type(area.selectionEnd, 0, "k");
  bob.splice(0, 0, "» ");
  await pause(40);
  assert.equal(area.value, "😀 zero one 2k three four");
  area.value = area.value.replace("2k", "2か");
  area.say("compositionend");
  await until(() => area.value === "» 😀 zero one 2か three four" && bob.value === area.value);
  assert.equal(area.value.slice(0, area.selectionStart), "» 😀 zero one 2か");
  unbind();
});

// ── Rooms and live functions ─────────────────────────────────────────────────────────────────────────────────────

function wire(answers = {}) {
  const requests = [];
  const listeners = new Set();
  const sent = [];
  const subscriptions = {
    own: new Map(),
    sync: { send: (frame) => sent.push(frame) },
    add: (key, one) => (subscriptions.own.set(key, one), subscriptions.resume()),
    remove: (key) => (sent.push(subscriptions.own.get(key).off), subscriptions.own.delete(key)),
    resume: () => [...subscriptions.own.values()].forEach(async (one) => (await one.prepare?.(), sent.push(one.on))),
  };
  const http = { json: async (method, path, body) => (requests.push([method, path, structuredClone(body)]), answers[path] ?? {}) };
  const onFrame = (fn) => (listeners.add(fn), () => listeners.delete(fn));
  return { http, subscriptions, onFrame, requests, sent, say: (frame) => [...listeners].forEach((fn) => fn(frame)) };
}

test("a room knows who is there, from the snapshot on", async () => {
  const net = wire({ "/api/rooms/join": { joined: "doc", snapshot: { peers: [{ user_id: "bob", data: 1, joined_at: "1Z" }] } }, "/api/rooms/presence": { updated: true } });
  const room = new Room(net.http, net.subscriptions, net.onFrame, "doc", { x: 0 });
  const names = () => room.members.map(({ user_id, data }) => [user_id, data]);
  await pause();
  assert.deepEqual(names(), [["bob", 1]]);
  assert.deepEqual(net.sent, [{ type: "room-subscribe", room: "doc" }]);
  net.say({ type: "room-snapshot", room: "doc", members: [{ user_id: "bob", data: 1 }, { user_id: "ann", data: { x: 0 } }] });
  assert.equal(room.joined, true);
  net.say({ type: "room-update", room: "doc", action: "join", member: { user_id: "cleo" } });
  net.say({ type: "room-update", room: "doc", action: "presence", member: { user_id: "bob" }, data: 2 });
  net.say({ type: "room-update", room: "other", action: "leave", member: { user_id: "bob" } });
  assert.deepEqual(names(), [["bob", 2], ["ann", { x: 0 }], ["cleo", null]]);
  net.say({ type: "room-update", room: "doc", action: "leave", member: { user_id: "bob" } });
  assert.deepEqual(names(), [["ann", { x: 0 }], ["cleo", null]]);
  const heard = [];
  room.on("ping", (data, from) => heard.push([data, from]));
  net.say({ type: "room-update", room: "doc", action: "broadcast", member: { user_id: "cleo" }, data: { topic: "ping", payload: 7 } });
  net.say({ type: "topic", room: "doc", topic: "ping", data: 8, from: "ann" });
  assert.deepEqual(heard, [[7, "cleo"], [8, "ann"]]);
  for (let x = 1; x <= 50; x += 1) room.set({ x });
  await until(() => net.requests.some(([, path]) => path === "/api/rooms/presence"));
  assert.deepEqual(net.requests.filter(([, path]) => path === "/api/rooms/presence").map(([, , { data }]) => data), [{ x: 50 }]);
  room.leave();
  assert.deepEqual(net.sent.at(-1), { type: "room-unsubscribe", room: "doc" });
});

test("a live function has its last result, or why there is none", async () => {
  const net = wire();
  const live = new LiveFunction(net.subscriptions, net.onFrame, "counts", { tag: "x" });
  await pause();
  const { sub_id, ...rest } = net.sent[0];
  assert.deepEqual(rest, { type: "reactive-subscribe", fn_name: "counts", args: { tag: "x" } });
  assert.equal(live.loading, true);
  net.say({ type: "reactive-result", sub_id, result: { n: 1 } });
  net.say({ type: "reactive-result", sub_id: "another", result: { n: 2 } });
  assert.deepEqual([live.value, live.loading, await live.ready], [{ n: 1 }, false, { n: 1 }]);
  net.say({ type: "reactive-error", sub_id, code: "HANDLER_ERROR", message: "Internal handler error" });
  assert.deepEqual([live.value, live.error.code], [{ n: 1 }, "HANDLER_ERROR"]);
  net.say({ type: "departed" }); // somebody else asks now
  assert.deepEqual([live.value, live.error, live.loading], [undefined, null, true]);
  live.close();
  assert.deepEqual(net.sent.at(-1), { type: "reactive-unsubscribe", sub_id });
});
