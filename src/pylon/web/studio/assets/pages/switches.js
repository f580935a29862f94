// @ts-check
// Switches: what is blocked now, turning more on, and the app's feature flags.

import { attempt, get, put, remove } from "../core/api.js";
import { orMissing } from "../core/missing.js";
import { ask, field, input, select } from "../core/dialogs.js";
import { h } from "../core/dom.js";
import { when, who } from "../core/format.js";
import { toast } from "../core/notices.js";
import { pulse } from "../core/pulse.js";
import { ending, isFromFile, isGrave, named, sentence, switches, turnOff, turnOn } from "../core/switching.js";
import { table } from "../core/tables.js";

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export async function open(root, { signal, actions }) {
  const listed = table({
    caption: "Switches that are on",
    testid: "switches",
    key: (s) => s.id,
    empty: "No switch is on. Everything is let in.",
    columns: [
      { label: "Switch", cell: (s) => h(`b.chip${isGrave(s) ? ".bad" : ".warn"}`, null, named(s)) },
      { label: "What it does", kind: "wide", cell: sentence },
      { label: "Reason", kind: "wide", cell: (s) => s.reason || h("span.dim", null, "–") },
      { label: "By", cell: (s) => who(s.by) },
      { label: "Since (UTC)", cell: (s) => when(s.created_at) },
      { label: "Ends", cell: ending },
      { label: "Turn off", hideLabel: true, kind: "buttons", cell: (s) => isFromFile(s) ? h("span.dim", null, "by the file") : h("button", { type: "button", data: { testid: "turn-off" }, onclick: () => turnOff(s).then(load) }, "Turn off") },
    ],
  });
  const flags = table({
    caption: "Feature flags",
    testid: "flags",
    key: (flag) => flag.name,
    empty: "No feature flag is set.",
    columns: [
      { label: "Flag", kind: "code", cell: (flag) => flag.name },
      { label: "On for", cell: (flag) => h(`span.chip${isOff(flag) ? "" : ".good"}`, null, onFor(flag)) },
      { label: "About", kind: "wide", cell: (flag) => flag.description },
      { label: "By", cell: (flag) => who(flag.by) },
      { label: "Changed (UTC)", cell: (flag) => when(flag.changed_at) },
      { label: "Edit", hideLabel: true, kind: "buttons", cell: (flag) => [
        h("button", { type: "button", data: { testid: "edit-flag" }, onclick: () => editFlag(flag).then(load) }, "Edit"),
        h("button", { type: "button", data: { testid: "remove-flag" }, onclick: () => dropFlag(flag).then(load) }, "Remove")] },
    ],
  });
  actions.append(h("button.danger", { type: "button", data: { new: "", testid: "new-switch" }, onclick: () => turnOn().then(load) }, "Turn a switch on"));
  root.append(
    h("section.card", null, h("h2", null, "On now"), listed.element),
    h("section.card", null, h("h2", null, "Feature flags",
      h("button", { type: "button", data: { testid: "new-flag" }, onclick: () => editFlag().then(load) }, "Set a flag")),
      h("p.dim", null, "What the app's functions ask with ctx.flags; a change counts from the next call on."), flags.element));

  async function load() {
    const [on, set] = await Promise.all([orMissing(listed.element, "Switches are", () => switches(signal)), orMissing(flags.element, "Flags are", () => get("/api/admin/flags", signal))]);
    if (signal.aborted) return;
    if (on) listed.show(on);
    if (set) flags.show(set.flags);
  }
  await load();
  let known = JSON.stringify(pulse.latest?.switches ?? []);
  pulse.follow((o) => {
    const now = JSON.stringify(o.switches);
    if (now !== known) attempt(load);
    known = now;
  }, signal);
}

/** @param {any} flag */
const isOff = ({ on, percentage, users, roles, tenants }) => !on && !percentage && !users.length && !roles.length && !tenants.length;

/** @param {any} flag */
function onFor(flag) {
  if (flag.on) return "everybody";
  if (isOff(flag)) return "nobody";
  return [flag.percentage ? `${flag.percentage} % of users` : "",
    ...["users", "roles", "tenants"].map((kind) => (flag[kind].length ? `${kind} ${flag[kind].slice(0, 3).join(", ")}${flag[kind].length > 3 ? " …" : ""}` : ""))].filter(Boolean).join(" · ");
}

/** @param {any} [flag] */
function editFlag(flag) {
  const names = (/** @type {string} */ kind) => input(kind, { value: (flag?.[kind] ?? []).join(", "), placeholder: "none" });
  const name = input("name", { value: flag?.name ?? "", required: true, readOnly: Boolean(flag), pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,99}" });
  const on = select("on", [["false", "some, as below"], ["true", "everybody"]], String(flag?.on ?? true));
  const share = h("input", { name: "percentage", type: "number", min: "0", max: "100", step: "any", value: String(flag?.percentage ?? 0), data: { testid: "field-percentage" } });
  const users = names("users"), roles = names("roles"), tenants = names("tenants");
  const description = input("description", { value: flag?.description ?? "", maxLength: 300 });
  const some = h("div.fields", null, field("Share of users, in percent", share), field("Users", users, "comma-separated"),
    h("div.pair", null, field("Roles", roles), field("Tenants", tenants)));
  const show = () => { some.hidden = on.value === "true"; };
  on.addEventListener("change", show);
  show();
  const list = (/** @type {HTMLInputElement} */ from) => from.value.split(",").map((one) => one.trim()).filter(Boolean);
  return ask({
    title: flag ? `Flag ${flag.name}` : "Set a flag",
    body: h("div.fields", null, field("Name", name), field("About", description), field("On for", on), some),
    confirm: "Set",
    async act() {
      await put(`/api/admin/flags/${encodeURIComponent(name.value.trim())}`, {
        on: on.value === "true", percentage: Number(share.value), users: list(users), roles: list(roles), tenants: list(tenants), description: description.value.trim(),
      });
      toast("done", `Set: ${name.value.trim()}`);
    },
  });
}

/** @param {any} flag */
const dropFlag = (flag) => ask({
  title: `Remove the flag ${flag.name}?`,
  body: h("p", null, "A flag that is not defined is off."),
  confirm: "Remove",
  async act() {
    await remove(`/api/admin/flags/${encodeURIComponent(flag.name)}`);
    toast("done", `Removed: ${flag.name}`);
  },
});
