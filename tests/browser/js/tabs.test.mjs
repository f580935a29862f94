// How tabs agree on one that leads: real `Tabs`, and a clock, locks and channels that do what the test says. Run by test_pylon_js.py.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { TabLink, Tabs } from "../../../src/pylon/web/static/pylon/tabs.js";

/** `navigator.locks` as specified: one holder a name, a line behind it, and stealing. */
class Locks {
  held = new Map();
  lines = new Map();

  request(name, options, callback) {
    const [{ ifAvailable, steal, signal } = {}, held] = callback ? [options, callback] : [{}, options];
    return new Promise((done, fail) => {
      const request = { name, held, done, fail };
      if (signal?.aborted) return fail(signal.reason);
      if (steal && this.held.has(name)) this.held.get(name).fail(new DOMException("stolen", "AbortError"));
      if (steal) this.held.delete(name);
      const line = this.lines.get(name) ?? [];
      this.lines.set(name, line);
      if (ifAvailable && (this.held.has(name) || line.length)) return void Promise.resolve(held(null)).then(done, fail);
      if (steal) line.unshift(request);
      else line.push(request);
      signal?.addEventListener("abort", () => line.includes(request) && (line.splice(line.indexOf(request), 1), fail(signal.reason)));
      this.grant(name);
    });
  }

  async grant(name) {
    if (this.held.has(name)) return;
    const request = this.lines.get(name)?.shift();
    if (!request) return;
    this.held.set(name, request);
    const value = await request.held({ name });
    if (this.held.get(name) !== request) return;
    this.held.delete(name);
    request.done(value);
    this.grant(name);
  }
}

/** Channels whose messages arrive when the test says, but at once for tabs that are awake. */
const asleep = new Map();
let channels = [];
class Channel {
  constructor(name) {
    this.name = name;
    channels.push(this);
  }
  postMessage(data) {
    for (const other of channels) {
      if (other === this || other.name !== this.name) continue;
      if (asleep.has(other)) asleep.get(other).push(data);
      else other.onmessage({ data: structuredClone(data) });
    }
  }
  close() {
    channels = channels.filter((other) => other !== this);
  }
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  channels = [];
  asleep.clear();
  Object.defineProperty(globalThis, "navigator", { value: { locks: new Locks() }, configurable: true });
  globalThis.BroadcastChannel = Channel;
});

const settled = async () => {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
};

/** A tab that answers as `Sync` does, and follows through a link where it does not lead. */
async function tab() {
  const one = { demoted: 0, leads: 0, link: null };
  const follow = () => {
    one.link = new TabLink(one.tabs, () => {});
    one.link.ended.then(() => settled()).then(() => !one.tabs.isLeader && one.tabs.channel && follow());
  };
  one.tabs = new Tabs({
    lead: () => ((one.leads += 1), one.tabs.link?.hangUp()),
    demoted: () => ((one.demoted += 1), follow()),
    heard: ({ type, from }) => {
      if (one.tabs.isLeader && (type === "join" || type === "ping")) one.tabs.post({ type: "up", to: from, socket: "s" });
    },
    gone: () => {},
  });
  await one.tabs.join("app");
  if (!one.tabs.isLeader) follow();
  await settled();
  return one;
}

const sleep = ({ tabs }) => asleep.set(tabs.channel, []);
function wake({ tabs }) {
  const missed = asleep.get(tabs.channel);
  asleep.delete(tabs.channel);
  for (const data of missed) tabs.channel.onmessage({ data });
}
const leaders = (...all) => all.map(({ tabs }) => tabs.isLeader);

/** Lets time pass step by step, with everything that follows from it. */
async function pass(ms) {
  for (let left = ms; left > 0; left -= 250) {
    mock.timers.tick(Math.min(250, left));
    await settled();
  }
}

test("the first tab leads, and when it is gone the next in line does", async (t) => {
  t.after(() => mock.timers.reset());
  const [one, two, three] = [await tab(), await tab(), await tab()];
  assert.deepEqual(leaders(one, two, three), [true, false, false]);
  assert.ok(two.link.isOpen);
  one.tabs.close();
  await settled();
  assert.deepEqual(leaders(two, three), [true, false]);
});

test("a leader that answers keeps the lead for ever", async (t) => {
  t.after(() => mock.timers.reset());
  const [one, two] = [await tab(), await tab()];
  await pass(120_000);
  assert.deepEqual(leaders(one, two), [true, false]);
});

test("a leader that answers nothing is deposed within a ping and two waits, and follows when it wakes up", async (t) => {
  t.after(() => mock.timers.reset());
  const [one, two] = [await tab(), await tab()];
  sleep(one);
  await pass(10_000 + 2 * 2_500 - 250);
  assert.deepEqual(leaders(one, two), [true, false]);
  await pass(500);
  assert.equal(two.tabs.isLeader, true);
  wake(one);
  await settled();
  assert.deepEqual([leaders(one, two), one.demoted, two.leads], [[false, true], 1, 1]);
  await pass(60_000);
  assert.deepEqual(leaders(one, two), [false, true]);
});

test("one answer that is late deposes nobody", async (t) => {
  t.after(() => mock.timers.reset());
  const [one, two] = [await tab(), await tab()];
  sleep(one);
  await pass(10_000 + 2_500 + 1_000); // the first question was in vain
  wake(one);
  await pass(60_000);
  assert.deepEqual([leaders(one, two), one.demoted], [[true, false], 0]);
});

test("a follower that was frozen with a question open hears the answer before it judges", async (t) => {
  t.after(() => mock.timers.reset());
  const one = await tab();
  const two = await tab();
  await pass(1_000);
  sleep(two);
  two.link.check();
  mock.timers.tick(30_000); // frozen: when it goes on, the timer runs before the messages
  await settled();
  assert.deepEqual(leaders(one, two), [true, false]);
  wake(two);
  await pass(60_000);
  assert.deepEqual([leaders(one, two), one.demoted], [[true, false], 0]);
});

test("a leader that is about to be frozen hands over at once, and lines up behind when it goes on", async (t) => {
  t.after(() => mock.timers.reset());
  const [one, two, three] = [await tab(), await tab(), await tab()];
  one.tabs.freeze();
  await settled();
  assert.deepEqual(leaders(one, two, three), [false, true, false]);
  two.tabs.freeze();
  await settled();
  assert.deepEqual(leaders(one, two, three), [false, false, true]); // not one: it is frozen
  one.tabs.resume();
  two.tabs.resume();
  three.tabs.close();
  await settled();
  assert.deepEqual(leaders(one, two), [true, false]);
});

test("who took the lead by force gives it away and not to itself", async (t) => {
  t.after(() => mock.timers.reset());
  const [one, two] = [await tab(), await tab()];
  sleep(one);
  await pass(15_500);
  wake(one);
  await settled();
  assert.deepEqual(leaders(one, two), [false, true]);
  two.tabs.freeze();
  await settled();
  assert.deepEqual(leaders(one, two), [true, false]);
});

test("a tab that is frozen alone leads again when it goes on", async (t) => {
  t.after(() => mock.timers.reset());
  const one = await tab();
  one.tabs.freeze();
  await settled();
  assert.deepEqual(leaders(one), [false]);
  one.tabs.resume();
  await settled();
  assert.deepEqual(leaders(one), [true]);
});
