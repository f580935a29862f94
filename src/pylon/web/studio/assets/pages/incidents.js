// @ts-check
// Incidents: what is going on, what was done about it when, and notes for the post-mortem.

import { attempt, download, get, post } from "../core/api.js";
import { ask, field, input, select } from "../core/dialogs.js";
import { fill, h } from "../core/dom.js";
import { ago, duration, utc, when } from "../core/format.js";
import { orMissing } from "../core/missing.js";
import { toast } from "../core/notices.js";
import { pulse } from "../core/pulse.js";
import { table } from "../core/tables.js";

const SEVERITIES = /** @type {[string, string][]} */ ([["sev1", "sev1: data or everybody is affected"], ["sev2", "sev2: some users are affected"], ["sev3", "sev3: no user noticed"]]);
const KINDS = /** @type {[string, string][]} */ (["observation", "decision", "action", "impact", "cause", "worked", "did-not-work", "follow-up"].map((kind) => [kind, kind.replaceAll("-", " ")]));
const EVERY_BEATS = 5;

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { query, signal, actions }) {
  const head = h("div"), lines = h("ol.timeline", { data: { testid: "timeline" } });
  const note = input("note", { placeholder: "what you saw, decided or did", aria: { label: "Note" }, required: true, maxLength: 10_000, data: { filter: "", testid: "field-note" } });
  const kind = select("kind", KINDS, "observation");
  kind.setAttribute("aria-label", "Kind of note");
  const form = h("form.noting", null, kind, note, h("button.primary", { type: "submit", data: { testid: "add-note" } }, "Add note"));
  const current = h("section.card", { data: { testid: "incident" } }, head, form, lines);
  const listed = table({
    caption: "All incidents, the newest first", testid: "incidents", key: (one) => one.id, empty: "There was no incident yet.",
    open: (one) => { chosen = one.id; show(one); },
    columns: [
      { label: "Started (UTC)", cell: (one) => when(one.started_at) },
      { label: "Severity", cell: severity },
      { label: "Title", kind: "wide", cell: (one) => one.title },
      { label: "Lasted", cell: (one) => (one.closed_at ? duration(one.closed_at - one.started_at) : h("b", null, "open")) },
    ],
  });
  const evidence = h("button", { type: "button", data: { testid: "capture" }, title: "Logs, metrics, audit and settings of the last 30 minutes, secrets masked", onclick: () => attempt(() => download("/api/admin/capture", `capture-${stamp()}.tar.gz`)) }, "Capture evidence");
  const start = h("button.primary", { type: "button", data: { new: "", testid: "start-incident" }, onclick: () => begin().then((done) => (done ? load() : undefined)) }, "Start an incident");
  /** @type {string|null} */ let chosen = query.get("id");
  /** @type {any} */ let shown = null;

  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!await attempt(() => post(`${path(shown)}/notes`, { text: note.value.trim(), kind: kind.value }))) return;
    note.value = "";
    await load();
    note.focus();
  });

  async function load() {
    const answer = await orMissing(current, "Incidents are", () => get("/api/admin/incidents", signal));
    if (!answer || signal.aborted) return;
    const { incidents } = answer;
    if (!start.isConnected) {
      root.append(h("section.card", null, h("h2", null, "All incidents"), listed.element));
      actions.append(evidence, start);
    }
    listed.show(incidents);
    await show(incidents.find((/** @type {any} */ one) => one.id === chosen) ?? incidents.find((/** @type {any} */ one) => !one.closed_at) ?? null);
  }

  /** @param {any} one */
  async function show(one) {
    shown = one;
    form.hidden = !one || Boolean(one.closed_at);
    if (!one) {
      fill(head, h("p.empty", null, "No incident is open. Start one when something is wrong: it gathers what happened for the post-mortem."));
      return fill(lines);
    }
    fill(head, title(one),
      h("p.dim", null, `${one.id} · started ${utc(one.started_at)} UTC, ${ago(one.started_at)}`, one.started_by ? ` by ${one.started_by}` : "", one.closed_at ? ` · closed ${utc(one.closed_at)} UTC` : ""),
      one.summary ? h("p", null, one.summary) : null);
    const moments = await timeline(one);
    if (signal.aborted || shown !== one || !moments) return;
    fill(lines, moments.map((moment) => h("li", { data: { tone: moment.tone } }, when(moment.at), h("span.chip", null, moment.label),
      h("span", null, moment.text, moment.who ? h("span.dim", null, ` ${moment.who}`) : null))));
  }

  /** @param {any} one */
  const title = (one) => h("h2", null, h(`span.chip.${one.closed_at ? "good" : "bad"}`, null, one.closed_at ? "closed" : "open"), severity(one), h("span", null, one.title),
    h("span.actions", null,
      h("button", { type: "button", data: { testid: "report" }, onclick: () => attempt(() => download(`${path(one)}/report?format=md`, `post-mortem-${one.id}.md`)) }, "Post-mortem"),
      one.closed_at ? null : h("button", { type: "button", data: { testid: "close-incident" }, onclick: () => end(one).then(load) }, "Close the incident")));

  /** Notes and operators' actions in one order; the notes alone where there is no report. @param {any} one @returns {Promise<any[]|undefined>} */
  async function timeline(one) {
    try {
      return (await get(`${path(one)}/report?format=json`, signal)).moments;
    } catch {
      const known = await attempt(() => get(path(one), signal));
      return known?.events.map((/** @type {any} */ event) => ({ ...event, label: event.kind, who: event.by, tone: "note" }));
    }
  }

  root.append(current);
  await load();
  let beats = 0;
  pulse.follow(() => { if (pulse.state === "live" && ++beats % EVERY_BEATS === 0 && document.activeElement?.closest(".timeline, .table") === null) load(); }, signal);
}

/** @param {any} one */
const path = (one) => `/api/admin/incidents/${encodeURIComponent(one.id)}`;
const stamp = () => new Date().toISOString().slice(0, 19).replaceAll(":", "");
/** @param {any} one */
const severity = (one) => h(`span.chip.${{ sev1: "bad", sev2: "warn" }[/** @type {string} */ (one.severity)] ?? "plain-chip"}`, null, one.severity);

function begin() {
  const title = input("title", { required: true, maxLength: 300 });
  const grade = select("severity", SEVERITIES, "sev2");
  return ask({
    title: "Start an incident",
    body: h("div.fields", null, field("What is wrong", title, "A line that a colleague understands: writes fail since 03:10"), field("How bad it is", grade)),
    confirm: "Start",
    async act() {
      await post("/api/admin/incidents", { title: title.value.trim(), severity: grade.value });
      toast("done", "The incident is open");
    },
  });
}

/** @param {any} incident */
function end(incident) {
  const summary = input("summary", { value: incident.summary ?? "", placeholder: "what it was, and what ended it" });
  return ask({
    title: "Close the incident?",
    body: h("div.fields", null, h("p", null, "Its timeline stays, and the post-mortem can be written from it."), field("Summary", summary)),
    confirm: "Close the incident",
    async act() {
      await post(`${path(incident)}/close`, { summary: summary.value.trim() });
      toast("done", "The incident is closed");
    },
  });
}
