// @ts-check
// The board's page. Rows say where things are to be; once a frame, everything on its way there moves a little, and only
// what moves is touched. So a thousand changed rows a second cost the page no more than sixty frames.
import { connect } from "/pylon.js";

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const board = byId("board");
const db = connect({ app: "board" });
const EASE_MS = 90; //     how long a thing takes for most of its way
const SEND_MS = 40; //     at most so often is a dragged card's place sent
const STIR_MS = 140; //    between two steps of all dots

db.onStatus((status) => {
  byId("status").dataset.status = status;
  byId("status").textContent = status;
});
await db.guest();
const cards = db.live("Card");
await cards.ready;
if (!cards.rows.length) await db.call("lay_out");

// ── Rows to things ───────────────────────────────────────────────────────────────────────────────────────────────

/** @typedef {{row: any, element: HTMLElement, x: number, y: number}} Thing */
/** @type {Map<string, Thing>} */
const things = new Map();
/** What is not where its row says. @type {Set<Thing>} */
const moving = new Set();
let changed = 0;

/** @param {any[]} rows */
function follow(rows) {
  const gone = new Set(things.keys());
  for (const row of rows) {
    gone.delete(row.id);
    const thing = things.get(row.id) ?? appear(row);
    if (thing.row === row) continue;
    changed += 1;
    if (thing.row.title !== row.title || thing.row.hue !== row.hue) dress(thing, row);
    thing.row = row;
    if (thing !== dragged?.thing) moving.add(thing);
  }
  for (const id of gone) {
    things.get(id)?.element.remove();
    things.delete(id);
  }
  wake();
}

/** @param {any} row @returns {Thing} */
function appear(row) {
  const element = document.createElement("div");
  element.className = row.kind;
  element.dataset.id = row.id;
  element.dataset.testid = row.kind;
  const thing = { row, element, x: row.x, y: row.y };
  if (row.kind === "card") {
    const text = document.createElement("p");
    text.spellcheck = false;
    element.append(text, Object.assign(document.createElement("button"), { textContent: "✕", ariaLabel: "Delete this card" }));
    element.tabIndex = 0;
  }
  dress(thing, row);
  things.set(row.id, thing);
  put(thing);
  board.append(element);
  return thing;
}

/** @param {Thing} thing @param {any} row */
function dress({ element }, { title, hue }) {
  element.style.setProperty("--hue", hue);
  const text = element.firstElementChild;
  if (text && document.activeElement !== text) text.textContent = title;
}

// ── Once a frame ─────────────────────────────────────────────────────────────────────────────────────────────────

let [width, height] = [board.clientWidth, board.clientHeight];
new ResizeObserver(() => {
  [width, height] = [board.clientWidth, board.clientHeight];
  for (const thing of things.values()) put(thing);
}).observe(board);

/** @param {Thing} thing */
function put({ element, x, y }) {
  element.style.transform = `translate(${(x * width).toFixed(1)}px, ${(y * height).toFixed(1)}px)`;
}

let isAwake = false;
let before = 0;
let frames = 0;
/** Frames a second over the last while in which something moved. @type {any} */ (window).fps = 0;

function wake() {
  if (isAwake) return;
  isAwake = true;
  before = performance.now();
  requestAnimationFrame(frame);
}

/** @param {number} now */
function frame(now) {
  const step = 1 - Math.exp(-Math.min(100, now - before) / EASE_MS);
  before = now;
  frames += 1;
  for (const thing of moving) {
    thing.x += (thing.row.x - thing.x) * step;
    thing.y += (thing.row.y - thing.y) * step;
    if (Math.abs(thing.row.x - thing.x) + Math.abs(thing.row.y - thing.y) < 0.0004) {
      [thing.x, thing.y] = [thing.row.x, thing.row.y];
      moving.delete(thing);
    }
    put(thing);
  }
  if (moving.size) requestAnimationFrame(frame);
  else isAwake = false;
}

setInterval(() => {
  if (isAwake) /** @type {any} */ (window).fps = frames;
  byId("rate").textContent = changed ? `${changed} rows/s · ${frames} frames/s` : "";
  frames = changed = 0;
}, 1000);

// ── Dragging ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** @type {{thing: Thing, dx: number, dy: number, sentAt: number, far: boolean}|null} */
let dragged = null;
const report = (/** @type {Error} */ error) => (byId("problem").textContent = error.message);
const where = (/** @type {PointerEvent|MouseEvent} */ event) => {
  const { left, top } = board.getBoundingClientRect();
  return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
};

board.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
  const element = /** @type {HTMLElement} */ (event.target).closest(".card");
  const thing = things.get(/** @type {any} */ (element)?.dataset.id);
  if (!thing || event.button || /** @type {HTMLElement} */ (event.target).tagName === "BUTTON" || document.activeElement === thing.element.firstElementChild) return;
  const { x, y } = where(event);
  dragged = { thing, dx: x - thing.x, dy: y - thing.y, sentAt: 0, far: false };
  moving.delete(thing);
  board.setPointerCapture(event.pointerId);
  thing.element.classList.add("held");
});

board.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
  const at = where(event);
  point(at);
  if (!dragged) return;
  const { thing, dx, dy } = dragged;
  dragged.far ||= Math.hypot((at.x - dx - thing.row.x) * width, (at.y - dy - thing.row.y) * height) > 4;
  if (!dragged.far) return;
  thing.x = Math.min(0.98, Math.max(-0.02, at.x - dx));
  thing.y = Math.min(0.98, Math.max(-0.02, at.y - dy));
  put(thing);
  if (event.timeStamp - dragged.sentAt < SEND_MS) return;
  dragged.sentAt = event.timeStamp;
  move(thing);
});

const drop = () => {
  if (!dragged) return;
  const { thing, far } = dragged;
  dragged = null;
  thing.element.classList.remove("held");
  if (far) move(thing);
  else edit(thing);
};
board.addEventListener("pointerup", drop);
board.addEventListener("pointercancel", drop);

/** @param {Thing} thing */
function move({ row, x, y }) {
  db.update("Card", row.id, { x: Number(x.toFixed(4)), y: Number(y.toFixed(4)) }).catch(report);
}

/** @param {Thing} thing */
function edit({ element, row }) {
  const text = /** @type {HTMLElement} */ (element.firstElementChild);
  text.contentEditable = "plaintext-only";
  text.focus();
  getSelection()?.selectAllChildren(text);
  text.onblur = () => {
    text.contentEditable = "false";
    if (text.textContent !== row.title) db.update("Card", row.id, { title: text.textContent ?? "" }).catch(report);
  };
  text.onkeydown = (event) => event.key === "Enter" && !event.shiftKey && (event.preventDefault(), text.blur());
}

board.addEventListener("dblclick", (/** @type {MouseEvent} */ event) => {
  if (event.target !== board) return;
  const { x, y } = where(event);
  const hue = Math.floor(Math.random() * 360);
  db.insert("Card", { title: "New card", kind: "card", x: Number((x - 0.05).toFixed(4)), y: Number((y - 0.04).toFixed(4)), hue }).catch(report);
});
board.addEventListener("click", (/** @type {MouseEvent} */ event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest(".card button");
  if (button) db.delete("Card", /** @type {any} */ (button.parentElement).dataset.id).catch(report);
});

// ── Stirring, and the others' pointers ───────────────────────────────────────────────────────────────────────────

const room = db.room("board");
room.subscribe(({ members }) => (byId("people").textContent = members.length > 1 ? `${members.length} here` : ""));

let pointedAt = 0;
/** @param {{x: number, y: number}} at */
function point({ x, y }) {
  if (performance.now() - pointedAt < SEND_MS || room.members.length < 2) return;
  pointedAt = performance.now();
  room.send("pointer", [Number(x.toFixed(4)), Number(y.toFixed(4))]);
}

/** @type {Map<string, HTMLElement>} */
const pointers = new Map();
room.on("pointer", ([x, y], from) => {
  if (from === db.user?.user_id) return;
  const element = pointers.get(from) ?? document.createElement("i");
  if (!pointers.has(from)) {
    element.className = "pointer";
    element.dataset.testid = "pointer";
    let hue = 0;
    for (const letter of from) hue = (hue * 31 + letter.charCodeAt(0)) % 360;
    element.style.setProperty("--hue", String(hue));
    pointers.set(from, element);
    board.append(element);
  }
  element.style.transform = `translate(${(x * width).toFixed(1)}px, ${(y * height).toFixed(1)}px)`;
});
room.subscribe(({ members }) => {
  const here = new Set(members.map(({ user_id }) => user_id));
  for (const [user, element] of pointers) if (!here.has(user)) (element.remove(), pointers.delete(user));
});

let isStirring = false;
byId("stir").onclick = async () => {
  isStirring = !isStirring;
  byId("stir").setAttribute("aria-pressed", String(isStirring));
  byId("stir").textContent = isStirring ? "Stop" : "Stir";
  while (isStirring) {
    const next = performance.now() + STIR_MS;
    await db.call("stir").catch((error) => (report(error), new Promise((go) => setTimeout(go, 1000 * (error.retryAfter || 1)))));
    await new Promise((go) => setTimeout(go, Math.max(0, next - performance.now())));
  }
};

cards.subscribe(follow);
