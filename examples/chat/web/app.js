// @ts-check
// The chat page: live rows in, DOM out. Everything that changes data is a function of app.py.
import { connect, generateId, PylonError } from "/pylon.js";
import { avatar, dayOf, h, keyed, timeOf } from "./dom.js";
import { presence } from "./presence.js";

const EMOJI = ["👍", "❤️", "😂", "🎉", "👀", "🙏"];
const TOGETHER_MS = 5 * 60_000; // messages of one author this close form one group
const person = new URLSearchParams(location.search).get("as"); // ?as=ada: in dev mode, be somebody

const db = connect({ app: person ? `chat-${person}` : "chat" });
const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const scroll = byId("scroll");

// ── What the page shows ──────────────────────────────────────────────────────────────────────────────────────────

db.onStatus((status) => {
  byId("status").dataset.status = status;
  byId("status").textContent = status;
  if (status === "live") sendWaiting();
});

await (person && !db.token ? db.session(person).catch(() => db.guest()) : db.guest());
const me = /** @type {string} */ (db.user?.user_id);

const profiles = db.live("Profile");
const channels = db.live("Channel", { order: "name" });
const memberships = db.live("Membership");
const messages = db.live("Message", { order: "sent" });
const reactions = db.live("Reaction");
const markers = db.live("ReadMarker", { where: { user: me } });

/** Messages on their way: shown at once, sent again if the connection fails. The id makes that safe.
 * @type {{id: string, channel: string, body: string, sent: string, problem: string, busy: boolean}[]} */
let outgoing = [];
/** The channel on the screen, and how far it had been read when it was opened. @type {{id: string, readTo: string}|null} */
let room = null;
let drawing = 0;

const nameOf = (/** @type {string} */ user) => profiles.rows.find((profile) => profile.user === user)?.name ?? user;
const around = presence(db, me, nameOf, { here: byId("here"), typing: byId("typing") });

/** Draws once for any number of changes in one turn. */
function draw() {
  drawing ||= setTimeout(() => {
    drawing = 0;
    chooseRoom();
    drawSidebar();
    drawRoom();
    markRead();
  }, 0);
}

const isMember = (/** @type {string} */ channel) => memberships.rows.some((m) => m.channel === channel && m.user === me);
const readTo = (/** @type {string} */ channel) => markers.rows.find((marker) => marker.channel === channel)?.at ?? "";

/** @param {string} channel */
function unreadIn(channel) {
  const since = readTo(channel);
  return messages.rows.filter((message) => message.channel === channel && message.sent > since && message.author !== me).length;
}

function chooseRoom() {
  const wanted = channels.rows.find(({ name }) => name === decodeURIComponent(location.hash.slice(1)));
  const mine = channels.rows.filter(({ id }) => isMember(id));
  const channel = wanted ?? mine.find(({ name }) => name === "general") ?? mine[0] ?? channels.rows[0];
  if (channel?.id === room?.id) return;
  room = channel ? { id: channel.id, readTo: readTo(channel.id) } : null;
  around.enter(room?.id ?? null);
  byId("messages").replaceChildren();
  stuck = true;
}

function drawSidebar() {
  const items = channels.rows.map(({ id, name, private: hidden, last_message, last_author }) => ({
    key: id,
    data: {
      name,
      hidden,
      last: last_message ? `${last_author === me ? "You" : nameOf(last_author).split(" ")[0]}: ${last_message}` : "No messages yet",
      count: isMember(id) ? unreadIn(id) : 0,
      current: id === room?.id,
    },
  }));
  keyed(byId("channels"), items, ({ name, hidden, last, count, current }) => {
    const link = h(
      "a",
      { className: count ? "channel unread" : "channel", href: `#${name}`, dataset: { testid: "channel", name, focus: "channel" } },
      h("span", { className: "name", textContent: name }),
      count ? h("span", { className: "badge", textContent: count > 99 ? "99+" : String(count), ariaLabel: `${count} unread`, dataset: { testid: "unread" } }) : null,
      h("span", { className: "last", textContent: last }),
    );
    if (hidden) link.dataset.private = "";
    if (current) link.setAttribute("aria-current", "page");
    return h("li", {}, link);
  });
  const name = nameOf(me);
  keyed(byId("me"), [{ key: "me", data: { name } }], () =>
    h("span", { style: "display: contents" }, avatar(me, name), h("span", { className: "who" }, h("strong", { textContent: name }), h("small", { textContent: "Change name" }))),
  );
  const total = channels.rows.reduce((sum, { id }) => sum + (isMember(id) ? unreadIn(id) : 0), 0);
  document.title = `${total ? `(${total}) ` : ""}${channels.rows.find(({ id }) => id === room?.id)?.name ?? "Chat"} · Pylon`;
}

function drawRoom() {
  const channel = channels.rows.find(({ id }) => id === room?.id);
  const members = memberships.rows.filter((membership) => membership.channel === room?.id);
  byId("room-name").textContent = channel?.name ?? "";
  byId("room-topic").textContent = channel?.topic ?? "";
  byId("room-members").textContent = channel ? `${members.length} ${members.length === 1 ? "member" : "members"}` : "";
  around.draw();
  byId("room-members").title = members.map(({ user }) => nameOf(user)).join(", ");

  const joined = room !== null && isMember(room.id);
  byId("composer-form").hidden = !joined;
  byId("join-bar").hidden = !channel || joined;
  byId("join-text").textContent = `You are reading #${channel?.name}. Join to write and react.`;
  byId("composer").placeholder = `Message #${channel?.name ?? ""}`;

  const items = timeline();
  byId("empty").hidden = items.length > 0;
  byId("empty").textContent = messages.loading ? "Loading…" : channel ? "Nothing here yet. The first message is yours." : "No channels yet. Make one with the + on the left.";
  keyed(byId("messages"), items, ({ heading, message }) => (heading ? h("li", { className: heading.className, textContent: heading.text }) : drawMessage(message)));
  if (stuck) scroll.scrollTop = scroll.scrollHeight;
  else byId("jump").hidden = !(room && unreadIn(room.id));
}

/** Messages, the outgoing ones last, with a heading for each day and one where the unread ones begin. */
function timeline() {
  const there = messages.rows.filter(({ channel }) => channel === room?.id);
  const known = new Set(there.map(({ id }) => id));
  outgoing = outgoing.filter(({ id }) => !messages.rows.some((message) => message.id === id));
  const going = outgoing.filter(({ channel, id }) => channel === room?.id && !known.has(id));
  const byMessage = Map.groupBy(reactions.rows, ({ message }) => message);
  const items = /** @type {{key: string, data: {heading?: any, message?: any}}[]} */ ([]);
  let before = /** @type {any} */ (null);
  let isNewShown = false;
  for (const { id, author, body, sent, problem, busy } of [...there, ...going.map((one) => ({ ...one, author: me }))]) {
    const day = dayOf(sent);
    const isNewDay = !before || dayOf(before.sent) !== day;
    /** @type {boolean} */
    const isNew = !isNewShown && author !== me && Boolean(room?.readTo) && sent > (room?.readTo ?? "");
    if (isNewDay) items.push({ key: `day ${day}`, data: { heading: { className: "day", text: day } } });
    if (isNew) items.push({ key: "new", data: { heading: { className: "day new", text: "New" } } });
    isNewShown ||= isNew;
    const isFirst = isNewDay || isNew || before.author !== author || Date.parse(sent) - Date.parse(before.sent) > TOGETHER_MS;
    const counts = Map.groupBy(byMessage.get(id) ?? [], ({ emoji }) => emoji);
    const pills = [...counts].map(([emoji, rows]) => ({ emoji, mine: rows.some(({ user }) => user === me), names: rows.map(({ user }) => nameOf(user)) }));
    const open = busy === undefined && room !== null && isMember(room.id);
    items.push({ key: id, data: { message: { id, author, name: nameOf(author), body, sent, isFirst, pills, open, waiting: busy !== undefined, problem } } });
    before = { author, sent };
  }
  return items;
}

/** @param {any} message */
function drawMessage({ id, author, name, body, sent, isFirst, pills, open, waiting, problem }) {
  const time = h("time", { dateTime: sent, textContent: timeOf(sent), title: new Date(sent).toLocaleString() });
  const parts = isFirst
    ? [avatar(author, name), h("div", { className: "line" }, h("span", { className: "author", textContent: name, dataset: { testid: "author" } }), time)]
    : [time];
  const element = h(
    "li",
    { className: `message${isFirst ? " first" : ""}${waiting ? " waiting" : ""}`, dataset: { testid: "message", id, state: waiting ? "waiting" : "sent" } },
    ...parts,
    h("div", { className: "body", textContent: body, dataset: { testid: "body" } }),
  );
  if (problem) {
    const again = h("button", { textContent: "Try again", onclick: () => retry(id) });
    const discard = h("button", { textContent: "Discard", onclick: () => forget(id) });
    element.append(h("p", { className: "note" }, problem, again, discard));
  }
  element.append(
    h(
      "div",
      { className: "reactions" },
      ...pills.map((/** @type {any} */ { emoji, mine, names }) =>
        h(
          "button",
          {
            className: "reaction",
            title: names.join(", "),
            disabled: !open,
            ariaPressed: String(mine),
            ariaLabel: `${emoji} ${names.length}: ${names.join(", ")}`,
            dataset: { testid: "reaction", emoji, focus: `reaction ${emoji}` },
            onclick: () => react(id, emoji),
          },
          emoji,
          h("span", { textContent: names.length }),
        ),
      ),
    ),
  );
  if (open) element.append(h("button", { className: "react", textContent: "☺", title: "React", ariaLabel: `React to ${name}`, ariaHasPopup: "true", dataset: { testid: "react", focus: "react" }, onclick: (/** @type {any} */ event) => chooseEmoji(event.currentTarget, id) }));
  return element;
}

// ── What people do ───────────────────────────────────────────────────────────────────────────────────────────────

/** Runs a write and shows why it failed, if it did. @param {Promise<any>} work @param {HTMLElement} [where] */
async function tell(work, where = byId("problem")) {
  where.textContent = "";
  try {
    return await work;
  } catch (error) {
    where.textContent = error instanceof Error ? error.message : String(error);
  }
}

function send() {
  const box = byId("composer");
  const body = box.value.trim();
  if (!body || !room) return;
  outgoing.push({ id: generateId(), channel: room.id, body, sent: new Date().toISOString(), problem: "", busy: false });
  box.value = "";
  around.stop();
  stuck = true;
  draw();
  sendWaiting();
}

let sending = false;

/** Sends what waits, in order. What fails for want of a connection waits for the next one. */
async function sendWaiting() {
  if (sending) return;
  sending = true;
  for (let next; (next = outgoing.find(({ problem, busy }) => !problem && !busy)); ) {
    next.busy = true;
    try {
      await db.call("send", { channel: next.channel, body: next.body, id: next.id });
      forget(next.id);
    } catch (raised) {
      const error = /** @type {PylonError} */ (raised);
      next.busy = false;
      if (error.status === 0 || error.status === 503) break;
      next.problem = error.message;
    }
    draw();
  }
  sending = false;
}

/** @param {string} id */
function retry(id) {
  for (const one of outgoing) if (one.id === id) one.problem = "";
  draw();
  sendWaiting();
}

/** @param {string} id */
function forget(id) {
  outgoing = outgoing.filter((one) => one.id !== id);
  draw();
}

/** @param {string} message @param {string} emoji */
const react = (message, emoji) => tell(db.call("react", { message, emoji }));

/** @param {HTMLElement} button @param {string} message */
function chooseEmoji(button, message) {
  const popover = byId("emoji");
  popover.replaceChildren(
    ...EMOJI.map((emoji) => h("button", { textContent: emoji, dataset: { testid: "emoji", emoji }, onclick: () => (popover.hidePopover(), react(message, emoji)) })),
  );
  popover.showPopover();
  const { top, right } = button.getBoundingClientRect();
  popover.style.left = `${Math.max(8, right - popover.offsetWidth)}px`;
  popover.style.top = `${Math.max(8, top - popover.offsetHeight - 4)}px`;
  opener = button;
  button.ariaExpanded = "true";
  popover.firstElementChild?.focus();
}

/** The button that opened the reactions. @type {HTMLElement|null} */
let opener = null;
byId("emoji").addEventListener("beforetoggle", (/** @type {any} */ { newState }) => {
  if (newState !== "closed" || !opener) return;
  opener.ariaExpanded = "false";
  opener.focus();
});

let marked = "";

/** The open channel is read when somebody looks at its end. */
function markRead() {
  const last = messages.rows.findLast(({ channel, author }) => channel === room?.id && author !== me);
  if (!last || !room || !stuck || document.hidden || !isMember(room.id) || last.sent <= readTo(room.id) || marked === last.id) return;
  marked = last.id;
  db.call("mark_read", { message: last.id }).catch(() => (marked = ""));
}

/** True while the end of the messages is in view, and so follows them. */
let stuck = true;

scroll.addEventListener("scroll", () => {
  stuck = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  if (stuck) byId("jump").hidden = true;
  markRead();
});
byId("jump").onclick = () => ((scroll.scrollTop = scroll.scrollHeight), byId("composer").focus());

byId("composer-form").onsubmit = (/** @type {Event} */ event) => (event.preventDefault(), send());
byId("composer").oninput = () => (byId("composer").value.trim() ? around.type() : around.stop());
byId("composer").onkeydown = (/** @type {KeyboardEvent} */ event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
};
byId("join").onclick = async () => {
  if (room) await tell(db.call("join", { channel: room.id }));
  byId("composer").focus();
};

byId("me").onclick = () => (byId("name-dialog").showModal(), (byId("name").value = nameOf(me)), byId("name").select());
byId("name-form").onsubmit = () => tell(db.call("rename_me", { name: byId("name").value }));
byId("new-channel").onclick = () => (byId("channel-form").reset(), (byId("channel-problem").textContent = ""), byId("channel-dialog").showModal());
byId("channel-form").onsubmit = async (/** @type {Event} */ event) => {
  event.preventDefault();
  const args = { name: byId("channel-name").value, topic: byId("channel-topic").value, private: byId("channel-private").checked };
  const made = await tell(db.call("create_channel", args), byId("channel-problem"));
  if (!made) return;
  byId("channel-dialog").close();
  location.hash = made.name;
};
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog")?.close());

/** @param {boolean} open */
function showMenu(open) {
  document.body.classList.toggle("menu", open);
  byId("menu").setAttribute("aria-expanded", String(open));
}
byId("menu").onclick = (/** @type {Event} */ event) => (event.stopPropagation(), showMenu(true));
document.addEventListener("click", (event) => !byId("sidebar").contains(/** @type {Node} */ (event.target)) && showMenu(false));
document.addEventListener("visibilitychange", markRead);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") showMenu(false);
  const step = event.altKey ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : 0;
  const at = channels.rows.findIndex(({ id }) => id === room?.id) + (step ?? 0);
  if (step && channels.rows[at]) (event.preventDefault(), (location.hash = channels.rows[at].name));
});
addEventListener("hashchange", () => (showMenu(false), draw(), byId("composer").focus()));

for (const live of [profiles, channels, memberships, messages, reactions, markers]) live.subscribe(draw);

/** A newcomer gets a name and the first channel, to be able to write at once. */
async function arrive() {
  const general = channels.rows.find(({ name }) => name === "general") ?? channels.rows[0];
  if (!profiles.rows.some(({ user }) => user === me)) await db.call("rename_me", { name: `Guest ${me.slice(-4)}` });
  if (general && !memberships.rows.some(({ user }) => user === me)) await db.call("join", { channel: general.id });
}
await channels.ready;
await tell(arrive());
