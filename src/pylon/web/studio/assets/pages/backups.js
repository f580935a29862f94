// @ts-check
// Backups: what there is, whether it verifies, and taking one now.

import { attempt, get, getText, post } from "../core/api.js";
import { h, say } from "../core/dom.js";
import { ago, bytes, count, duration, seconds, when } from "../core/format.js";
import { orMissing } from "../core/missing.js";
import { toast } from "../core/notices.js";
import { table } from "../core/tables.js";

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { signal, actions }) {
  const summary = h("p.lead", { role: "status", hidden: true, data: { testid: "backups-summary" } });
  const listed = table({
    caption: "Backups, the newest first", testid: "backups", key: (b) => b.name, empty: "There is no backup yet. Take one before you change anything.",
    columns: [
      { label: "Taken (UTC)", cell: (b) => when(b.taken_at) },
      { label: "Age", cell: (b) => ago(b.taken_at) },
      { label: "Name", kind: "code", cell: (b) => b.name },
      { label: "Size", kind: "number", cell: (b) => bytes(b.bytes) },
      { label: "Seq", kind: "number", cell: (b) => count(b.seq) },
      { label: "Encrypted", cell: (b) => (b.encrypted ? "yes" : "no") },
      { label: "Verified", cell: verified },
      { label: "Verify", hideLabel: true, kind: "buttons", cell: (b) => h("button", { type: "button", data: { testid: "verify" }, onclick: (/** @type {any} */ event) => verify(b, event.currentTarget) }, "Verify") },
    ],
  });
  const card = h("section.card", null, listed.element);
  const take = h("button.primary", { type: "button", data: { new: "", testid: "take-backup" }, onclick: () => busy(take, "Taking a backup …", async () => {
    const made = await attempt(() => post("/api/admin/backups"));
    if (made) toast("done", `Taken: ${made.name}, ${bytes(made.bytes)}`);
  }) }, "Back up now");
  root.append(summary, card);

  async function load() {
    const answer = await orMissing(card, "Backups are", () => get("/api/admin/backups", signal));
    if (!answer || signal.aborted) return;
    if (!take.isConnected) actions.append(take);
    const { backups } = answer;
    listed.show(backups);
    const lag = await archiveLag();
    if (signal.aborted) return;
    say(summary, [
      backups.length ? `The newest backup is ${duration(Date.now() / 1000 - (seconds(backups[0].taken_at) ?? 0))} old.` : "",
      lag === null ? "" : lag < 1 ? "The archive of changes is up to date." : `The archive of changes is ${duration(lag)} behind.`,
    ].filter(Boolean).join(" "));
    summary.hidden = !summary.textContent;
  }

  /** @param {any} backup @param {HTMLButtonElement} button */
  const verify = (backup, button) => busy(button, "Verifying …", async () => {
    const answer = await attempt(() => post("/api/admin/backups/verify", { name: backup.name }));
    if (answer) toast("done", `${backup.name} verifies`, [answer.rows ? `${count(total(answer.rows))} rows` : ""]);
  });

  /** @param {HTMLButtonElement} button @param {string} meanwhile @param {() => Promise<void>} act */
  async function busy(button, meanwhile, act) {
    const label = button.textContent ?? "";
    button.disabled = true;
    say(button, meanwhile);
    await act();
    button.disabled = false;
    say(button, label);
    if (!signal.aborted) await load();
  }
  await load();
}

/** How far the archive is behind in seconds, as the metrics say; null where there is none. */
async function archiveLag() {
  const found = /^pylon_archive_lag_seconds (\S+)$/m.exec((await attempt(() => getText("/metrics"))) ?? "");
  return found ? Number(found[1]) : null;
}

/** @param {any} rows a number, or numbers by entity */
const total = (rows) => (typeof rows === "number" ? rows : Object.values(rows).reduce((sum, n) => sum + n, 0));

/** @param {any} b */
function verified({ verified: is, verified_at: at, problem }) {
  if (is === null || is === undefined) return h("span.dim", null, "not yet");
  return h(`span.chip.${is ? "good" : "bad"}`, { title: [at, problem].filter(Boolean).join("\n") }, is ? `verified ${ago(at)}` : "broken");
}
