// @ts-check
// The editor's page: a list of texts, one open, and who else is in it. The merging is done by `db.text(…).bind(textarea)`.
import { connect } from "/pylon.js";

navigator.serviceWorker?.register("/pylon-sw.js"); // the page opens without a connection, too

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const db = connect({ app: "editor" });
const COLOURS = ["#9a3c56", "#2f6f8f", "#7a5a1e", "#4d7a3a", "#6a4fa3", "#a0522d", "#2b7a78", "#8a3f8f"];
const ANIMALS = ["Otter", "Heron", "Lynx", "Wren", "Badger", "Marten", "Stoat", "Curlew", "Hare", "Kite"];
const pick = (/** @type {string[]} */ list) => list[Math.floor(Math.random() * list.length)];

/** What others see of us. */
const self = { name: localStorage.getItem("editor-name") ?? pick(ANIMALS), colour: pick(COLOURS), typing: false };

db.onStatus((status) => {
  byId("status").dataset.status = status;
  byId("status").textContent = status === "live" ? "connected" : status;
});
await db.guest();

const docs = db.live("Doc", { order: "created" });
/** @type {{id: string, text: any, room: any, stop: () => void}|null} */
let open = null;

docs.subscribe(() => (open ? drawList() : choose())); // the first text may arrive after the call that made it
addEventListener("hashchange", choose);
await docs.ready;
if (!docs.rows.length) await db.call("first_doc").catch(() => {});
choose();

/** Opens the text that the address names, else the first. */
function choose() {
  const id = docs.rows.find((doc) => doc.id === location.hash.slice(1))?.id ?? docs.rows[0]?.id;
  if (!id || id === open?.id) return;
  open?.stop();
  const text = db.text("Doc", id, "body");
  const room = db.room(`doc ${id}`, { data: self });
  const stops = [text.bind(byId("body")), text.subscribe(drawText), room.subscribe(drawPeople)];
  open = {
    id,
    text,
    room,
    stop() {
      for (const stop of stops) stop();
      text.close();
      room.leave();
    },
  };
  drawList();
  drawText();
}

function drawList() {
  byId("docs").replaceChildren(
    ...docs.rows.map(({ id, title }) => {
      const link = Object.assign(document.createElement("a"), { href: `#${id}`, textContent: title || "Untitled" });
      if (id === open?.id) link.setAttribute("aria-current", "page");
      link.dataset.testid = "doc";
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
  const title = docs.rows.find(({ id }) => id === open?.id)?.title ?? "";
  if (document.activeElement !== byId("title")) byId("title").value = title;
  document.title = `${title || "Editor"} · Pylon`;
}

function drawText() {
  if (!open) return;
  const { value, loading, saved, error } = open.text;
  byId("saved").textContent = loading ? "loading…" : saved ? "all saved" : db.status === "live" ? "saving…" : "kept here, sent when the connection is back";
  byId("problem").textContent = error?.message ?? "";
  const words = value.trim() ? value.trim().split(/\s+/).length : 0;
  byId("count").textContent = `${words} ${words === 1 ? "word" : "words"}`;
}
db.onStatus(drawText);

function drawPeople() {
  const people = open?.room.members ?? [];
  byId("people").replaceChildren(
    ...people.map((/** @type {any} */ { user_id, data }) => {
      const { name = "?", colour = "#777", typing = false } = data ?? {};
      const item = Object.assign(document.createElement("li"), { textContent: [...name][0], title: user_id === db.user?.user_id ? `${name} (you)` : name });
      item.style.background = colour;
      item.dataset.testid = "person";
      item.dataset.name = name;
      if (typing && user_id !== db.user?.user_id) item.className = "typing";
      return item;
    }),
  );
}

let idle = 0;
byId("body").addEventListener("input", () => {
  clearTimeout(idle);
  show({ typing: true });
  idle = setTimeout(() => show({ typing: false }), 1500);
});

/** @param {Partial<typeof self>} change */
function show(change) {
  if (Object.entries(change).every(([name, value]) => /** @type {any} */ (self)[name] === value)) return;
  Object.assign(self, change);
  open?.room.set({ ...self });
}

byId("me").value = self.name;
byId("me").addEventListener("change", () => {
  show({ name: byId("me").value.trim() || pick(ANIMALS) });
  localStorage.setItem("editor-name", self.name);
});
byId("title").addEventListener("input", () => {
  if (open) db.update("Doc", open.id, { title: byId("title").value }).catch((/** @type {Error} */ error) => (byId("problem").textContent = error.message));
});
byId("new").addEventListener("click", async () => {
  const { id } = await db.insert("Doc", { title: "Untitled" });
  location.hash = id;
  byId("title").select();
});
