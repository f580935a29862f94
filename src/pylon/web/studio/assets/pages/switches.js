// @ts-check
// Switches: what is blocked now, turning more on, and the app's feature flags.

import { attempt, get, put, remove } from "../core/api.js";
import { ask, field, input } from "../core/dialogs.js";
import { h } from "../core/dom.js";
import { when } from "../core/format.js";
import { toast } from "../core/notices.js";
import { pulse } from "../core/pulse.js";
import { ending, isGrave, named, sentence, switches, turnOff, turnOn } from "../core/switching.js";
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
      { label: "By", cell: (s) => s.by },
      { label: "Since (UTC)", cell: (s) => when(s.created_at) },
      { label: "Ends", cell: ending },
      { label: "Turn off", hideLabel: true, kind: "buttons", cell: (s) => h("button", { type: "button", data: { testid: "turn-off" }, onclick: () => turnOff(s).then(load) }, "Turn off") },
    ],
  });
  const flags = table({
    caption: "Feature flags",
    testid: "flags",
    key: (flag) => flag.name,
    empty: "No feature flag is set.",
    columns: [
      { label: "Flag", kind: "code", cell: (flag) => flag.name },
      { label: "Value", kind: "code", cell: (flag) => JSON.stringify(flag.value) },
      { label: "Note", kind: "wide", cell: (flag) => flag.note || flag.description || "" },
      { label: "By", cell: (flag) => flag.by ?? "" },
      { label: "Changed (UTC)", cell: (flag) => when(flag.updated_at ?? flag.at) },
      { label: "Edit", hideLabel: true, kind: "buttons", cell: (flag) => [
        h("button", { type: "button", onclick: () => editFlag(flag).then(load) }, "Edit"),
        h("button", { type: "button", onclick: () => dropFlag(flag).then(load) }, "Remove")] },
    ],
  });
  actions.append(h("button.danger", { type: "button", data: { new: "", testid: "new-switch" }, onclick: () => turnOn().then(load) }, "Turn a switch on"));
  root.append(
    h("section.card", null, h("h2", null, "On now"), listed.element),
    h("section.card", null, h("h2", null, "Feature flags",
      h("button", { type: "button", data: { testid: "new-flag" }, onclick: () => editFlag().then(load) }, "Set a flag")),
      h("p.dim", null, "Values that the app's functions read while they run; a change takes effect with the next call."), flags.element));

  async function load() {
    const [on, set] = await Promise.all([attempt(() => switches(signal)), attempt(() => get("/api/admin/flags", signal))]);
    if (signal.aborted) return;
    if (on) listed.show(on);
    if (set) flags.show(asList(set.flags));
  }
  await load();
  let known = JSON.stringify(pulse.latest?.switches ?? []);
  pulse.follow((o) => {
    const now = JSON.stringify(o.switches);
    if (now !== known) attempt(load);
    known = now;
  }, signal);
}

/** @param {any} flags a list, or values by name */
const asList = (flags) => (Array.isArray(flags) ? flags : Object.entries(flags ?? {}).map(([name, value]) =>
  (value && typeof value === "object" && "value" in value ? { name, ...value } : { name, value })));

/** @param {any} [flag] */
function editFlag(flag) {
  const name = input("name", { value: flag?.name ?? "", required: true, readOnly: Boolean(flag) });
  const value = input("value", { value: flag ? JSON.stringify(flag.value) : "true", required: true });
  return ask({
    title: flag ? `Flag ${flag.name}` : "Set a flag",
    body: h("div.fields", null, field("Name", name), field("Value", value, "JSON: true, false, a number, or \"text\"")),
    confirm: "Set",
    async act() {
      await put(`/api/admin/flags/${encodeURIComponent(name.value.trim())}`, { value: parsed(value.value) });
      toast("done", `Set: ${name.value.trim()}`);
    },
  });
}

/** JSON, or what is none as text. @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {any} flag */
const dropFlag = (flag) => ask({
  title: `Remove the flag ${flag.name}?`,
  body: h("p", null, "The app falls back to what its code says."),
  confirm: "Remove",
  async act() {
    await remove(`/api/admin/flags/${encodeURIComponent(flag.name)}`);
    toast("done", `Removed: ${flag.name}`);
  },
});
