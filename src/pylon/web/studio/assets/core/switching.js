// @ts-check
// Switches in words: what each scope means, what exactly will happen, and the form that turns one on.

import { get, post, remove } from "./api.js";
import { ask, field, input, select } from "./dialogs.js";
import { h, say } from "./dom.js";
import { duration, seconds } from "./format.js";
import { pulse } from "./pulse.js";
import { toast } from "./notices.js";
import { app } from "./app.js";

/** Scope: label, what it needs as its target, and whether it can stop writes alone. */
export const SCOPES = /** @type {Record<string, {label: string, target?: string, example?: string, writes: boolean}>} */ ({
  server: { label: "Whole server (maintenance mode)", writes: false },
  "read-only": { label: "Read-only: no writes by anybody", writes: false },
  entity: { label: "One entity", target: "Entity", writes: true },
  function: { label: "One function", target: "Function", writes: false },
  user: { label: "One user", target: "User id", writes: true },
  ip: { label: "One address or network", target: "Address", example: "203.0.113.7 or 203.0.113.0/24", writes: true },
  auth: { label: "Sign-in, by all or one method", target: "Method", example: "* for every method", writes: false },
  sync: { label: "Live sync and sockets", writes: false },
  uploads: { label: "Uploads", writes: false },
  anonymous: { label: "Callers who are not signed in", writes: true },
});

const EXPIRY = /** @type {[string, string][]} */ ([["900", "after 15 minutes"], ["3600", "after 1 hour"], ["14400", "after 4 hours"], ["86400", "after 1 day"], ["0", "when it is turned off"]]);

/** The switch in a few words: `user mallory`. @param {any} s */
export function named(s) {
  if (s.scope === "server") return "whole server";
  return s.target ? `${s.scope} ${s.target}` : s.scope;
}

/** What the switch does, in a sentence or two; `ip` blocks speak of addresses. @param {any} s */
export function sentence({ scope, target, blocks, retry_after: wait }) {
  const writes = blocks === "writes", what = writes ? "write" : "request";
  const person = scope === "user" || scope === "ip";
  const subject = {
    server: "Every request", "read-only": "Every write",
    entity: writes ? `Every write to ${target || "the entity"}` : `Every read and write of ${target || "the entity"}`,
    function: `Every call of ${target || "the function"}`,
    user: `Every ${what} of user ${target || "…"}`, ip: `Every ${what} from ${target || "the address"}`,
    auth: !target || target === "*" ? "Every sign-in" : `Signing in with ${target}`, sync: "Every pull, push and socket",
    uploads: "Every upload", anonymous: `Every ${what} of callers who are not signed in`,
  }[/** @type {string} */ (scope)] ?? "Every matching request";
  const answer = person && !writes ? "403 BLOCKED" : (person || scope === "anonymous") && writes ? "429 RATE_LIMITED" : "503 MAINTENANCE";
  const retry = answer.startsWith("403") || !wait ? "" : `, to be tried again after ${duration(wait)}`;
  const rest = scope === "server" ? "Health checks, admins and Studio are let in."
    : writes || scope === "read-only" ? "Reads go on." : scope === "entity" ? "Nobody but admins sees its rows until it is off again." : "Everything else goes on.";
  return `${subject} is answered ${answer}${retry}. ${rest}`;
}

/** When it ends. @param {any} s */
export function ending(s) {
  const at = s.expires_at ? seconds(s.expires_at) : null;
  if (!at) return "until it is turned off";
  return `for another ${duration(at - Date.now() / 1000)}`;
}

/** Whether the file `maintenance` of the data folder says so, which only its removal undoes. @param {any} s */
export const isFromFile = (s) => String(s.id).startsWith("file_");

/** How grave it is, for its colour. @param {any} s */
export const isGrave = (s) => s.scope === "server" || s.scope === "read-only";

/** Asks for a switch and turns it on. @param {Partial<{scope: string, target: string, blocks: string, title: string}>} [given] */
export function turnOn(given = {}) {
  const scope = select("scope", Object.entries(SCOPES).map(([value, { label }]) => [value, label]), given.scope ?? "server");
  const target = input("target", { value: given.target ?? "" });
  target.setAttribute("list", "switch-targets");
  const known = h("datalist", { id: "switch-targets" });
  const blocks = select("blocks", [["all", "everything"], ["writes", "writes only"]], given.blocks ?? "all");
  const reason = input("reason", { maxLength: 500, placeholder: "shown to clients too" });
  const expiry = select("expires_in", EXPIRY, given.scope && !["server", "read-only"].includes(given.scope) ? "3600" : "0");
  const wait = h("input", { name: "retry_after", type: "number", min: "1", max: "86400", value: "30", data: { testid: "field-retry_after" } });
  const targetField = field("Target", target), blocksField = field("Blocks", blocks);
  const hint = h("small");
  targetField.append(hint, known);
  const preview = h("p.preview", { aria: { live: "polite" }, data: { testid: "preview" } });

  function described() {
    const kind = SCOPES[scope.value];
    return {
      scope: scope.value,
      target: kind.target ? target.value.trim() : "",
      blocks: kind.writes ? blocks.value : "all",
      reason: reason.value.trim(),
      expires_in: Number(expiry.value),
      retry_after: Number(wait.value) || 30,
    };
  }
  function show() {
    const kind = SCOPES[scope.value];
    targetField.hidden = !kind.target;
    target.required = Boolean(kind.target);
    targetField.firstElementChild.textContent = kind.target ?? "";
    hint.textContent = kind.example ?? "";
    blocksField.hidden = !kind.writes;
    const top = pulse.latest?.top ?? {};
    const names = /** @type {Record<string, string[]|undefined>} */ ({ entity: app.entities, function: app.functions, user: top.users?.map(first), ip: top.addresses?.map(first), auth: ["*", "guest", "session"] })[scope.value] ?? [];
    known.replaceChildren(...names.map((/** @type {string} */ value) => h("option", { value })));
    const wish = described();
    const [, end] = EXPIRY.find(([value]) => value === expiry.value) ?? EXPIRY[0];
    say(preview, `${sentence(wish)} It ends ${wish.expires_in ? "by itself " : "only "}${end}.`);
  }
  const body = h("div.fields", null,
    field("What", scope), targetField, blocksField, field("Reason", reason),
    h("div.pair", null, field("Ends", expiry), field("Retry after (s)", wait)), preview);
  body.addEventListener("input", show);
  show();
  return ask({
    title: given.title ?? "Turn a switch on",
    body,
    confirm: "Turn on",
    danger: true,
    typed: () => (scope.value === "server" ? app.name : ""),
    async act() {
      const { expires_in, target: at, reason: why, ...wish } = described();
      const turned = await post("/api/admin/switches", { ...wish, ...(at && { target: at }), ...(why && { reason: why }), ...(expires_in && { expires_in }) });
      pulse.refresh();
      toast("done", `On: ${named(turned ?? wish)}`);
    },
  });
}

/** Asks, and turns a switch off. @param {any} s */
export function turnOff(s) {
  return ask({
    title: `Turn off: ${named(s)}`,
    body: h("p", null, s.scope === "server" ? "The server takes requests again at once." : "What it blocked is let in again at once."),
    confirm: "Turn off",
    async act() {
      await remove(`/api/admin/switches/${encodeURIComponent(s.id)}`);
      pulse.refresh();
      toast("done", `Off: ${named(s)}`);
    },
  });
}

/** The switches that are on. @param {AbortSignal} [signal] */
export const switches = async (signal) => (await get("/api/admin/switches", signal)).switches;

/** @param {any[]} list */
const first = (list) => list[0];
