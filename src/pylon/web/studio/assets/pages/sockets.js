// @ts-check
// Sockets: who listens, since when, and how far behind; closing them by user or address, or all.

import { get } from "../core/api.js";
import { h, say } from "../core/dom.js";
import { bytes, count, duration, some } from "../core/format.js";
import { bounce, kick } from "../core/kicking.js";
import { orMissing } from "../core/missing.js";
import { pulse } from "../core/pulse.js";
import { table } from "../core/tables.js";

const ASKED = 5000;
const SHOWN = 500;

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { query, signal, actions }) {
  const filter = h("input", { type: "search", value: query.get("q") ?? "", placeholder: "user, address or kind", aria: { label: "Filter the sockets" }, data: { filter: "", testid: "filter" } });
  const summary = h("span.dim", { role: "status", data: { testid: "sockets-summary" } });
  const card = h("section.card");
  const listed = table({
    caption: "Open sockets", testid: "sockets", key: (s) => String(s.id), empty: "No socket is open.",
    columns: [
      { label: "User", kind: "code", cell: (s) => s.user ?? h("span.dim", null, "anonymous") },
      { label: "Address", kind: "code", cell: (s) => s.ip },
      { label: "Kind", cell: (s) => ({ ws: "WebSocket", sse: "stream" })[/** @type {string} */ (s.kind)] ?? s.kind },
      { label: "Open for", kind: "number", cell: (s) => duration(s.seconds) },
      { label: "Unsent", kind: "number", cell: (s) => (s.unsent_bytes ? bytes(s.unsent_bytes) : "–") },
      { label: "Events", kind: "number", cell: (s) => count(s.sent_events) },
      { label: "Sent", kind: "number", cell: (s) => bytes(s.sent_bytes) },
      { label: "Close", hideLabel: true, kind: "buttons", cell: (s) => [
        s.user ? h("button", { type: "button", data: { testid: "kick-user" }, onclick: () => kick({ user: s.user }).then(load) }, "Kick user") : null,
        h("button", { type: "button", data: { testid: "kick-ip" }, onclick: () => kick({ ip: s.ip }).then(load) }, "Kick address")] },
    ],
  });
  actions.append(h("button.danger", { type: "button", data: { testid: "bounce" }, onclick: () => bounce().then(load) }, "Bounce all"));
  card.append(h("div.tools", null, filter, summary), listed.element);
  root.append(card);
  /** @type {any[]} */ let sockets = [];
  let total = 0;
  let beats = 0;

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    const found = sockets.filter((s) => !wanted || `${s.user ?? "anonymous"} ${s.ip} ${s.kind}`.toLowerCase().includes(wanted));
    listed.whenEmpty(sockets.length ? "No socket matches." : "No socket is open.");
    listed.show(found.slice(0, SHOWN));
    say(summary, `${found.length === sockets.length ? "" : `${count(found.length)} of `}${some(total, "socket")}${found.length > SHOWN ? `, the first ${SHOWN} shown` : ""}`);
  }
  async function load() {
    const answer = await orMissing(card, "The list of sockets is", () => get(`/api/admin/sockets?limit=${ASKED}`, signal));
    if (!answer || signal.aborted) return;
    ({ sockets, total } = answer);
    show();
  }
  filter.addEventListener("input", show);
  await load();
  pulse.follow(() => { if (pulse.state === "live" && ++beats % 3 === 0) load(); }, signal);
}
