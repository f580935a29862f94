// @ts-check
// Audit: who wrote, read or did what, when; exports, and the proof that nothing was changed since.

import { attempt, download, get, withQuery } from "../core/api.js";
import { app } from "../core/app.js";
import { field, input, select } from "../core/dialogs.js";
import { fill, h, icon, say } from "../core/dom.js";
import { some, utc, when, who } from "../core/format.js";
import { orMissing } from "../core/missing.js";
import { table } from "../core/tables.js";

const FIELDS = ["entity", "row", "user", "ip", "action", "kind", "since", "until", "limit"];
const SINCE = /** @type {[string, string][]} */ ([["", "any time"], ["900", "the last 15 min"], ["3600", "the last hour"], ["86400", "the last day"], ["604800", "the last week"], ["exact", "from – to …"]]);

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { query, signal, actions }) {
  const entity = input("entity");
  entity.setAttribute("list", "audit-entities");
  const names = h("datalist", { id: "audit-entities" }, app.entities.map((value) => h("option", { value })));
  const window_ = select("window", SINCE, "86400");
  const since = input("since", { placeholder: "2026-01-31T03:00Z" }), until = input("until", { placeholder: "now" });
  const exact = h("div.pair", { hidden: true }, field("Since (UTC)", since), field("Until (UTC)", until));
  const form = h("form.search.card", { role: "search", data: { testid: "audit-form" } },
    field("User", input("user", { data: { filter: "", testid: "field-user" } })), field("Entity", entity), names, field("Row id", input("row")),
    field("Address", input("ip")), field("Action", input("action")),
    field("Kind", select("kind", [["write,read,auth,operator", "any"], ["write", "writes"], ["read", "reads"], ["auth", "accounts"], ["operator", "operators"]])),
    field("When", window_), exact,
    field("At most", select("limit", [["100", "100"], ["500", "500"], ["1000", "1,000"]])),
    h("button.primary", { type: "submit", data: { testid: "audit-search" } }, "Search"));
  for (const name of FIELDS) if (query.has(name) && form.elements[name]) form.elements[name].value = query.get(name) ?? "";
  if (query.has("window")) window_.value = query.get("window") ?? "";
  if (query.has("since") || query.has("until")) window_.value = "exact";

  const summary = h("span.dim", { role: "status", data: { testid: "audit-summary" } });
  const results = table({
    caption: "Audit entries, the newest first", testid: "audit", key: (entry, i) => `${entry.at} ${entry.request_id} ${i}`,
    empty: "Nothing matches.", open: (entry) => drawer(entry, form),
    columns: [
      { label: "At (UTC)", kind: "code", cell: (entry) => when(entry.at, true) },
      { label: "Kind", cell: (entry) => h(`span.chip.${entry.kind}`, null, entry.kind) },
      { label: "Action", cell: (entry) => entry.action },
      { label: "What", kind: "wide", cell: what },
      { label: "User", kind: "code", cell: (entry) => who(entry.user) || h("span.dim", null, "anonymous") },
      { label: "Address", kind: "code", cell: (entry) => entry.ip || "–" },
      { label: "Door", cell: (entry) => entry.door },
    ],
  });
  const save = (/** @type {string} */ format) => h("button", { type: "button", data: { testid: `export-${format}` }, onclick: () =>
    attempt(() => download(withQuery("/api/admin/audit/export", { ...asked(), limit: "", format }), `audit-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}Z.${format === "json" ? "ndjson" : format}`)) }, `Export ${format.toUpperCase()}`);
  const verdict = h("p.verdict", { role: "status", hidden: true, data: { testid: "verdict" } });
  const verify = h("button", { type: "button", data: { testid: "verify-chain" }, onclick: () => verifyChain(verify, verdict) }, "Verify the chain");
  actions.append(verify, save("json"), save("csv"));
  root.append(form, verdict, h("section.card", null, h("div.tools", null, summary), results.element));

  function asked() {
    const values = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
    if (window_.value !== "exact") {
      values.since = window_.value ? String(Math.floor(Date.now() / 1000) - Number(window_.value)) : "";
      values.until = "";
    }
    return values;
  }
  async function search() {
    const answer = await orMissing(results.element, "The audit log is", () => get(withQuery("/api/admin/audit", asked()), signal));
    if (!answer || signal.aborted) return;
    const { entries } = answer;
    results.show(entries);
    const full = entries.length >= Number(form.elements.limit.value);
    say(summary, entries.length === 0 ? "No entry" : `${some(entries.length, "entry", "entries")}${full ? " (there may be more)" : ""}, ${utc(entries.at(-1).at)} to ${utc(entries[0].at)} UTC`);
  }
  form.addEventListener("input", () => { exact.hidden = window_.value !== "exact"; });
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const kept = Object.fromEntries([...FIELDS, "window"].filter((name) => window_.value === "exact" || !["since", "until"].includes(name)).map((name) => [name, form.elements[name].value]));
    history.replaceState(null, "", withQuery("#/audit", kept));
    search();
  });
  exact.hidden = window_.value !== "exact";
  await search();
}

/** @param {any} entry */
function what(entry) {
  if (entry.kind === "operator" || entry.kind === "auth") {
    const details = Object.entries(entry.details ?? {}).filter(([, value]) => value !== null && value !== "");
    return details.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ");
  }
  const rows = entry.rows ?? [];
  return h("span", null, entry.entity, " ", h("code.id", { title: rows[0] ?? "" }, rows.length === 1 ? shortened(rows[0]) : some(rows.length, "row")),
    entry.fields?.length ? h("span.dim", null, ` ${entry.fields.join(", ")}`) : null);
}

/** Ids begin with the time, so their ends tell them apart. @param {string} id */
const shortened = (id) => (id.length > 14 ? `…${id.slice(-10)}` : id);

/** Everything about one entry, and the way to its neighbours. @param {any} entry @param {any} form */
function drawer(entry, form) {
  const more = (/** @type {string} */ name, /** @type {string} */ value, /** @type {string} */ text) => (value ? h("button", { type: "button", onclick: () => {
    dialog.close();
    form.elements[name].value = value;
    form.requestSubmit();
  } }, text) : null);
  const rows = Object.entries({
    At: new Date(entry.at * 1000).toISOString(), Kind: entry.kind, Action: entry.action, Entity: entry.entity, User: entry.user ?? "anonymous",
    Admin: entry.actor_is_admin ? "yes" : "", Address: entry.ip, Door: entry.door, "Request id": entry.request_id, Seq: entry.seq || "",
    Fields: entry.fields?.join(", "), [`Rows (${entry.rows?.length ?? 0})`]: entry.rows?.slice(0, 200).join("\n"),
    ...Object.fromEntries(Object.entries(entry.details ?? {}).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value, null, 2) : String(value)])),
  }).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const dialog = h("dialog.drawer", { aria: { label: "Audit entry" }, data: { testid: "drawer" } },
    h("header", null, h("h2", null, `${entry.action} ${entry.entity ?? ""}`), h("button.plain", { type: "button", aria: { label: "Close" }, onclick: () => dialog.close() }, icon("close"))),
    h("dl.details", null, rows.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, String(value))))),
    h("menu", null, more("user", entry.user ?? "", "This user"), more("ip", entry.ip, "This address"),
      entry.rows?.length === 1 ? more("row", entry.rows[0], "This row") : null, more("entity", entry.entity, "This entity")));
  dialog.addEventListener("click", (/** @type {Event} */ event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {HTMLButtonElement} button @param {HTMLElement} verdict */
async function verifyChain(button, verdict) {
  button.disabled = true;
  verdict.hidden = false;
  verdict.className = "verdict";
  fill(verdict, "Checking every block …");
  const found = await attempt(() => get("/api/admin/audit/verify"));
  button.disabled = false;
  if (!found) { verdict.hidden = true; return; }
  verdict.classList.add(found.ok ? "good" : "bad");
  fill(verdict, h("strong", null, found.ok ? "The chain is whole." : "The chain is broken."), ` ${some(found.records, "record")} in ${some(found.blocks, "block")}; head `,
    h("code", null, `${found.head_id}:${found.head_hash}`), found.problems?.length ? h("ul", null, found.problems.map((/** @type {string} */ problem) => h("li", null, problem))) : null);
}
