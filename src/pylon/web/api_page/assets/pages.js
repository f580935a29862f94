// @ts-check
// The pages of the API: the start, an entity, the functions, a group of routes, a schema, the errors.

import { h } from "/studio/core/dom.js";
import { call, prose } from "./operation.js";
import { boundsOf, properties, shape, typeOf } from "./shapes.js";

/** @typedef {import("./document.js").ApiDocument} ApiDocument @typedef {import("./document.js").Operation} Operation */

const KINDS = /** @type {const} */ ([
  ["query", "Queries", "Read, on one snapshot. A client may follow them live."],
  ["mutation", "Mutations", "One transaction each: all of it happens, or nothing."],
  ["action", "Actions", "May take their time and stream what they have so far."],
]);

/** @param {ApiDocument} document */
export function start(document) {
  const origin = location.origin;
  const [entity] = document.entities;
  const routes = document.operations.length;
  return [
    h("p.lead", null, `${document.title} ${document.version}: ${count(document.entities.length, "entity", "entities")}, ${count(document.functions.length, "function")}, ${count(routes, "call")}.`),
    card("What there is",
      document.entities.length ? h("p", null, "Entities: ", document.entities.map((name, i) => [i ? ", " : "", h("a", { href: `#/entity/${encodeURIComponent(name)}` }, name)])) : null,
      document.functions.length ? h("p", null, "Functions: ", document.functions.map((one, i) => [i ? ", " : "", h("a", { href: `#/functions/${encodeURIComponent(one.id)}` }, nameOf(one))])) : null,
      h("p", null, "Behind it: ", h("a", { href: "/api/openapi.json" }, "/api/openapi.json"), ", OpenAPI 3.1, for client generators, gateways and contract tests.")),
    card("Who calls",
      h("p", null, "Send ", h("code", null, "Authorization: Bearer TOKEN"), ": a session's token, an API key or an admin's. In a browser the session's cookie does it. Without either, a call is nobody's, and policies decide what nobody may."),
      h("p", null, "What you try on this page is sent for real, as whoever the top of the page names.")),
    entity ? card("First steps",
      h("pre", null, `curl '${origin}/api/entities/${entity}?limit=5'\n\npylon codegen client                     # types for pylon.js\npylon codegen client --language python   # a typed client for Python`)) : null,
    card("Refusals", h("p", null, "Every one has the same shape. ", h("code", null, "code"), " stays the same from release to release: match on it."),
      h("pre", null, JSON.stringify({ error: { code: "POLICY_DENIED", message: "…", hint: "…" } }, null, 2)), h("p", null, h("a", { href: "#/errors" }, "All codes"))),
  ];
}

/** @param {ApiDocument} document @param {string} name */
export function entity(document, name) {
  const row = document.schema(name) ?? {}, insert = document.schema(`${name}Insert`) ?? {}, update = document.schema(`${name}Update`) ?? {};
  const [inserted, updated] = [insert.properties ?? {}, update.properties ?? {}];
  const needed = new Set(insert.required ?? []);
  const marks = (/** @type {string} */ field) => {
    if (field === "id") return [h("span.chip", null, "made by the server or the client")];
    if (!(field in inserted)) return [h("span.chip", null, "set by the server")];
    return [needed.has(field) ? h("span.chip.good", null, "needed to insert") : null, field in updated ? null : h("span.chip.warn", null, "never changed")];
  };
  const shown = { ...row, required: [] };
  const unread = Object.keys(inserted).filter((field) => !(field in (row.properties ?? {})));
  return [
    card("Fields", properties(document, shown, marks), unread.length ? h("p.dim", null, `Written and never read: ${unread.join(", ")}.`) : null,
      h("p.dim", null, "Schemas: ", [name, `${name}Insert`, `${name}Update`, `${name}Filter`].map((one, i) => [i ? ", " : "", typeOf({ $ref: `#/components/schemas/${one}` })]))),
    calls(document, "Calls", document.of(name)),
  ];
}

/** @param {ApiDocument} document @param {string} opened the id of a function */
export function functions(document, opened) {
  const found = KINDS.map(([kind, title, told]) => ({ kind, title, told, all: document.functions.filter((one) => one.kind === kind) })).filter(({ all }) => all.length);
  if (!found.length) return [h("p.dim", null, "This app has no functions that clients may call.")];
  return [
    card("Signatures", h("div.table", null, h("table", null,
      h("thead", null, h("tr", null, ["name", "takes", "gives", "for"].map((title) => h("th", null, title)))),
      h("tbody", null, document.functions.map((one) => h("tr", { data: { testid: "function" } },
        h("td.code", null, h("a", { href: `#/functions/${encodeURIComponent(one.id)}` }, nameOf(one))),
        h("td.code.types", null, input(document, one)),
        h("td.code.types", null, typeOf(one.answers.find(({ status }) => status === "200")?.content["application/json"]?.schema)),
        h("td", null, one.callers))))))),
    ...found.map(({ title, told, all }) => card(title, h("p.dim", null, told), all.map((one) => call(document, one, one.id === opened)))),
  ];
}

/** @param {ApiDocument} document @param {Operation} one */
function input(document, one) {
  const schema = one.body?.content["application/json"]?.schema;
  const fields = Object.entries(document.resolve(schema).properties ?? {});
  const required = new Set(document.resolve(schema).required ?? []);
  if (!fields.length) return "nothing";
  return [fields.map(([name, of], i) => [i ? ", " : "", name, required.has(name) ? ": " : "?: ", typeOf(of)]), " ", h("a.schema", { href: `#/schema/${encodeURIComponent(`${nameOf(one)}Input`)}` }, "schema")];
}

/** @param {ApiDocument} document @param {string} name */
export function group(document, name) {
  const found = document.groups.find((one) => one.name === name);
  return found ? [calls(document, "Calls", found.operations)] : missing();
}

/** @param {ApiDocument} document @param {string} name */
export function schema(document, name) {
  const found = name ? document.schema(name) : undefined;
  if (!found) return name ? missing() : [card("Schemas", h("ul.columns", null, document.schemas.map((one) => h("li", null, h("a", { href: `#/schema/${encodeURIComponent(one)}` }, one)))))];
  return [
    card(name, h("p", null, prose(found.description ?? "")), found.properties ? properties(document, found) : shape(document, found), h("p.dim", null, boundsOf(found))),
    card("JSON Schema", h("pre", { data: { testid: "schema-json" } }, JSON.stringify(found, null, 2))),
  ];
}

/** @param {ApiDocument} document */
export function errors(document) {
  const rows = document.errors().map(({ code, told, statuses, count: calls_ }) => h("tr", null,
    h("td.code", null, code), h("td", null, [...statuses].join(", ")), h("td.wide", null, prose(told)), h("td.number", null, String(calls_))));
  return [card("Codes", h("p.dim", null, "The status a code comes with, what it says, and how many calls may answer it."), h("div.table", null, h("table", null,
    h("thead", null, h("tr", null, h("th", null, "code"), h("th", null, "status"), h("th", null, ""), h("th.number", null, "calls"))), h("tbody", null, rows))))];
}

export const missing = () => [h("p", { data: { testid: "missing" } }, "There is no such page. ", h("a", { href: "#/" }, "To the start"))];

/** @param {ApiDocument} document @param {string} title @param {Operation[]} operations */
const calls = (document, title, operations) => card(title, operations.map((one) => call(document, one)));
/** @param {Operation} one */
export const nameOf = (one) => one.path.replace("/api/fn/", "");
/** @param {string} title @param {...any} content */
const card = (title, ...content) => h("section.card", null, h("h2", null, title), content);
/** @param {number} number @param {string} one @param {string} [many] */
const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
