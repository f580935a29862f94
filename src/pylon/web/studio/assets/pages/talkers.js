// @ts-check
// Top talkers: who and what is busiest now, each with the means to stop it; and what is slow or running.

import { withQuery } from "../core/api.js";
import { h, keyed, say } from "../core/dom.js";
import { duration, figure, milliseconds, when } from "../core/format.js";
import { kick } from "../core/kicking.js";
import { pulse } from "../core/pulse.js";
import { turnOn } from "../core/switching.js";
import { table } from "../core/tables.js";

/** Where it stands in the overview, its title, the switch's scope, and how its sockets are named. */
const LISTS = /** @type {[string, string, string, ((key: string) => any)?][]} */ ([
  ["users", "Users", "user", (user) => ({ user })],
  ["addresses", "Addresses", "ip", (ip) => ({ ip })],
  ["entities", "Entities", "entity"],
  ["functions", "Functions", "function"],
]);

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export function open(root, { signal }) {
  const lists = LISTS.map(([name]) => h("ol.talkers", { data: { testid: `top-${name}` } }));
  const none = LISTS.map(() => h("p.empty", null, "Nothing in the last minute."));
  root.append(h("div.halves", null, LISTS.map(([, title], i) =>
    h("section.card", null, h("h2", null, title, h("small", null, "rows written per second")), lists[i], none[i]))));

  const slow = table({
    caption: "Slow queries, the latest first", testid: "slow", key: (q, i) => `${q.at} ${q.request_id} ${i}`,
    empty: "No slow query lately.",
    columns: [
      { label: "At (UTC)", cell: (q) => when(q.at, true) },
      { label: "Took", kind: "number", cell: (q) => milliseconds(q.ms) },
      { label: "What", kind: "wide", cell: (q) => q.what },
      { label: "User", kind: "code", cell: (q) => q.user ?? "–" },
      { label: "Request", kind: "code", cell: (q) => q.request_id },
    ],
  });
  const readers = table({
    caption: "Reads that run now", testid: "readers", key: (r, i) => `${r.request_id} ${r.what} ${i}`,
    empty: "No read runs longer than a moment.",
    columns: [
      { label: "Running for", kind: "number", cell: (r) => duration(r.seconds) },
      { label: "What", kind: "wide", cell: (r) => r.what },
      { label: "User", kind: "code", cell: (r) => r.user ?? "–" },
      { label: "Request", kind: "code", cell: (r) => r.request_id },
    ],
  });
  root.append(
    h("section.card", null, h("h2", null, "Slow queries"), slow.element),
    h("section.card", null, h("h2", null, "Running reads"), readers.element));

  pulse.follow((o) => {
    LISTS.forEach(([name, , scope, whose], i) => {
      const top = /** @type {[string, number][]} */ (o.top?.[name] ?? []), most = top[0]?.[1] || 1;
      none[i].hidden = top.length > 0;
      keyed(lists[i], top.map(([key]) => ({ key, data: key })), (key) => line(key, scope, whose));
      top.forEach(([, rate], at) => {
        const element = /** @type {HTMLElement} */ (lists[i].children[at]);
        say(/** @type {Element} */ (element.querySelector(".rate")), `${figure(rate)}/s`);
        /** @type {any} */ (element.querySelector("meter")).value = rate / most;
      });
    });
    slow.show(o.slow_queries ?? []);
    readers.show(o.readers ?? []);
  }, signal);
}

/** The name, as the way to what it did. @param {string} scope @param {string} key */
const auditOf = (scope, key) => (scope === "function" || key === "anonymous" ? h("span.key", { title: key }, key)
  : h("a.key", { href: withQuery("#/audit", { [scope]: key, window: 3600 }), title: `${key}: what it did in the last hour` }, key));

/** @param {string} key @param {string} scope @param {((key: string) => any)|undefined} whose */
function line(key, scope, whose) {
  const anonymous = scope === "user" && key === "anonymous", admin = scope === "user" && key.startsWith("__");
  const target = anonymous ? { scope: "anonymous", target: "" } : { scope, target: key };
  const button = (/** @type {string} */ text, /** @type {() => any} */ onclick, testid = text.toLowerCase()) =>
    h("button", { type: "button", onclick, aria: { label: `${text} ${key}` }, data: { testid: `talker-${testid}` } }, text);
  return h("li", { data: { testid: "talker", key } },
    auditOf(scope, key),
    h("span.rate"), h("meter", { min: 0, max: 1, value: 0, aria: { hidden: "true" } }),
    admin ? h("span.buttons.dim", null, "admins pass every switch") : h("span.buttons", null,
      scope === "function" ? null : button("Throttle", () => turnOn({ ...target, blocks: "writes", title: `Stop the writes of ${key}` })),
      button("Block", () => turnOn({ ...target, blocks: "all", title: `Block ${key}` })),
      whose && !anonymous ? button("Kick", () => kick(whose(key))) : null));
}
