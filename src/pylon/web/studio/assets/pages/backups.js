// @ts-check
// Backups: what there is, whether it verifies, and taking one now.

import { attempt, get, post } from "../core/api.js";
import { h, say } from "../core/dom.js";
import { ago, bytes, count, duration, when } from "../core/format.js";
import { orMissing } from "../core/missing.js";
import { toast } from "../core/notices.js";
import { table } from "../core/tables.js";

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { signal, actions }) {
  const summary = h("p.lead", { role: "status", data: { testid: "backups-summary" } });
  const listed = table({
    caption: "Backups, the newest first", testid: "backups", key: (b) => String(b.id ?? b.name ?? b.path ?? b.at), empty: "There is no backup yet. Take one before you change anything.",
    columns: [
      { label: "Taken (UTC)", cell: (b) => when(taken(b)) },
      { label: "Age", cell: (b) => ago(taken(b)) },
      { label: "Where", kind: "code", cell: (b) => b.name ?? b.path ?? b.id ?? "" },
      { label: "Size", kind: "number", cell: (b) => bytes(b.size ?? b.bytes ?? b.size_bytes) },
      { label: "Seq", kind: "number", cell: (b) => count(b.seq) },
      { label: "Verified", cell: verified },
      { label: "Verify", hideLabel: true, kind: "buttons", cell: (b) => h("button", { type: "button", data: { testid: "verify" }, onclick: (/** @type {any} */ event) => verify(b, event.currentTarget) }, "Verify") },
    ],
  });
  const take = h("button.primary", { type: "button", data: { new: "", testid: "take-backup" }, onclick: async () => {
    take.disabled = true;
    say(take, "Taking a backup …");
    if (await attempt(() => post("/api/admin/backups"))) toast("done", "The backup is taken");
    take.disabled = false;
    say(take, "Back up now");
    await load();
  } }, "Back up now");
  actions.append(take);
  root.append(summary, h("section.card", null, listed.element));

  async function load() {
    const answer = await orMissing(listed.element, "Backups are", () => get("/api/admin/backups", signal));
    if (!answer || signal.aborted) return;
    const backups = [...answer.backups].sort((a, b) => (taken(a) < taken(b) ? 1 : -1));
    listed.show(backups);
    const lag = answer.archive?.lag_seconds ?? answer.archive_lag_seconds ?? answer.archive?.lag;
    say(summary, [
      backups.length ? `The newest backup is ${ago(taken(backups[0])).replace(/ ago$/, " old")}.` : "",
      lag === undefined || lag === null ? "" : `The archive is ${duration(lag)} behind.`,
    ].filter(Boolean).join(" "));
    summary.hidden = !summary.textContent;
  }
  /** @param {any} backup @param {HTMLButtonElement} button */
  async function verify(backup, button) {
    button.disabled = true;
    say(button, "Verifying …");
    const answer = await attempt(() => post("/api/admin/backups/verify", { id: backup.id, name: backup.name, path: backup.path }));
    if (answer) toast(answer.ok === false || answer.verified === false ? "problem" : "done", answer.ok === false || answer.verified === false ? "The backup does not verify" : "The backup verifies", answer.problems ?? []);
    button.disabled = false;
    say(button, "Verify");
    await load();
  }
  await load();
}

/** @param {any} b */
const taken = (b) => b.at ?? b.time ?? b.taken_at ?? b.created_at;

/** @param {any} b */
function verified(b) {
  if (b.verified === true || b.verified_at) return h("span.chip.good", null, "verified");
  if (b.verified === false && b.problem) return h("span.chip.bad", null, "broken");
  return h("span.dim", null, "not yet");
}
