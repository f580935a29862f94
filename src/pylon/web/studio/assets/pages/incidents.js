// @ts-check
// Incidents: what is going on, what was done about it when, and notes for the report.

import { ApiError, attempt, complain, get, post } from "../core/api.js";
import { ask, field, input } from "../core/dialogs.js";
import { fill, h } from "../core/dom.js";
import { ago, duration, seconds, utc, when } from "../core/format.js";
import { toast } from "../core/notices.js";
import { pulse } from "../core/pulse.js";
import { table } from "../core/tables.js";

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { signal, actions }) {
  const current = h("section.card", { data: { testid: "incident" } });
  const past = table({
    caption: "Earlier incidents", testid: "incidents", key: (one) => String(one.id), empty: "No earlier incident.",
    open: (one) => show(one),
    columns: [
      { label: "Started (UTC)", cell: (one) => when(started(one)) },
      { label: "Title", kind: "wide", cell: (one) => one.title ?? one.name ?? one.id },
      { label: "Lasted", cell: (one) => (closed(one) ? duration((seconds(closed(one)) ?? 0) - (seconds(started(one)) ?? 0)) : "open") },
    ],
  });
  /** @type {any[]} */ let incidents = [];
  /** @type {string|null} */ let chosen = null;
  const start = h("button.primary", { type: "button", data: { new: "", testid: "start-incident" }, onclick: () => begin().then((done) => done && load()) }, "Start an incident");

  async function load() {
    let answer;
    try {
      answer = await get("/api/admin/incidents", signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError) || error.status !== 404) return complain(error);
      fill(root, h("section.card", { data: { testid: "not-available" } }, h("p.empty", null, "Incidents are not available on this server.")));
      return;
    }
    incidents = [...answer.incidents].sort((a, b) => ((seconds(started(a)) ?? 0) < (seconds(started(b)) ?? 0) ? 1 : -1));
    if (!current.isConnected) root.append(current, h("section.card", null, h("h2", null, "All incidents"), past.element));
    if (!start.isConnected) actions.append(start);
    past.show(incidents);
    await show(incidents.find((one) => one.id === chosen) ?? incidents.find((one) => !closed(one)) ?? null);
  }

  /** @param {any} one */
  async function show(one) {
    if (!one) {
      fill(current, h("p.empty", null, "No incident is open. Start one when something is wrong: from then on, what happens is kept for its timeline."));
      return;
    }
    chosen = one.id;
    const full = (await get(`/api/admin/incidents/${encodeURIComponent(one.id)}`, signal).catch(() => null)) ?? one;
    if (signal.aborted) return;
    const { incident = full } = full;
    const timeline = full.timeline ?? full.events ?? incident.timeline ?? incident.events ?? [];
    const note = input("note", { placeholder: "what you saw or did", aria: { label: "Note" }, required: true, maxLength: 2000 });
    const form = h("form.noting", { hidden: Boolean(closed(incident)) }, note, h("button.primary", { type: "submit", data: { testid: "add-note" } }, "Add note"));
    form.addEventListener("submit", async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (await attempt(() => post(`/api/admin/incidents/${encodeURIComponent(one.id)}/notes`, { text: note.value }))) await load();
    });
    fill(current,
      h("h2", null, h(`span.chip.${closed(incident) ? "good" : "bad"}`, null, closed(incident) ? "closed" : "open"), " ", incident.title ?? incident.name ?? incident.id,
        closed(incident) ? null : h("button", { type: "button", data: { testid: "close-incident" }, onclick: () => end(incident).then(load) }, "Close the incident")),
      h("p.dim", null, `Started ${utc(started(incident))} UTC, ${ago(started(incident))}`, incident.by ? ` by ${incident.by}` : ""),
      form,
      h("ol.timeline", { data: { testid: "timeline" } }, [...timeline].sort((a, b) => (seconds(a.at) ?? 0) - (seconds(b.at) ?? 0)).map((event) =>
        h("li", null, when(event.at), h("span.chip", null, event.kind ?? event.action ?? "note"),
          h("span", null, event.text ?? event.what ?? event.target ?? "", event.by ?? event.user ? h("span.dim", null, ` ${event.by ?? event.user}`) : null)))),
      timeline.length ? null : h("p.empty", null, "Nothing on the timeline yet."));
  }
  await load();
  let beats = 0;
  pulse.follow(() => { if (pulse.state === "live" && ++beats % 5 === 0 && !root.contains(document.activeElement)) load(); }, signal);
}

/** @param {any} one */
const started = (one) => one.started_at ?? one.created_at ?? one.at;
/** @param {any} one */
const closed = (one) => one.closed_at || one.ended_at || null;

function begin() {
  const title = input("title", { required: true, maxLength: 200 });
  return ask({
    title: "Start an incident",
    body: h("div.fields", null, field("What is wrong", title, "A line that a colleague understands: “writes fail since 03:10”")),
    confirm: "Start",
    async act() {
      await post("/api/admin/incidents", { title: title.value.trim() });
      toast("done", "The incident is open");
    },
  });
}

/** @param {any} incident */
const end = (incident) => ask({
  title: "Close the incident?",
  body: h("p", null, "Its timeline stays. `pylon incident report` writes the post-mortem from it."),
  confirm: "Close the incident",
  async act() {
    await post(`/api/admin/incidents/${encodeURIComponent(incident.id)}/close`);
    toast("done", "The incident is closed");
  },
});
