// @ts-check
// One call: what it is, what it takes, what it answers, and a form to try it.

import { h } from "/studio/core/dom.js";
import { shape, typeOf, boundsOf } from "./shapes.js";
import { trying } from "./trying.js";

/** @typedef {import("./document.js").ApiDocument} ApiDocument @typedef {import("./document.js").Operation} Operation @typedef {import("./document.js").Answer} Answer */

const WHO = { anybody: "anybody, as far as policies go", "signed-in": "signed-in", admin: "admins" };

/** Text with `code` in it. @param {string} text */
export const prose = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", null, part) : part));

/** A line that opens. @param {ApiDocument} document @param {Operation} operation @param {boolean} [isOpen] */
export function call(document, operation, isOpen = false) {
  const place = h("div.call");
  const details = h("details.operation", { open: isOpen, id: `op-${operation.id}`, data: { testid: `op-${operation.id}` } },
    h("summary", null,
      h(`span.method.${operation.method.toLowerCase()}`, null, operation.method),
      h("code.path", null, operation.kind ? operation.path.replace("/api/fn/", "") : operation.path),
      h("span.told", null, prose(operation.summary)),
      operation.who === "admin" ? h("span.chip.operator", null, "admins") : null),
    place);
  const draw = () => { if (details.open && !place.firstChild) place.append(...content(document, operation)); };
  details.addEventListener("toggle", draw);
  draw();
  return details;
}

/** @param {ApiDocument} document @param {Operation} operation */
function content(document, operation) {
  const parts = [h("p", null, prose(operation.description || `${operation.summary}.`))];
  parts.push(h("p.dim", null, `For ${operation.callers || WHO[operation.who]}. `, h("code", null, `${operation.method} ${operation.path}`)));
  if (operation.parameters.length) parts.push(h("h4", null, "Parameters"), parameters(document, operation));
  for (const [media, { schema }] of Object.entries(operation.body?.content ?? {})) {
    parts.push(h("h4", null, "Body ", h("small", null, media, operation.body?.required ? "" : ", optional")), ...[shape(document, schema)].flat(Infinity).filter(Boolean));
  }
  const refusals = operation.answers.filter(({ codes }) => codes.length);
  parts.push(h("h4", null, "Answers"), ...operation.answers.filter(({ codes }) => !codes.length).map((one) => answer(document, one)));
  parts.push(h("details.refusals", null, h("summary", null, `Refusals: ${refusals.map(({ status }) => status).join(", ")}`), refusals.map((one) => answer(document, one))));
  parts.push(h("h4", null, "Try it"), trying(document, operation));
  return parts;
}

/** @param {ApiDocument} document @param {Operation} operation */
function parameters(document, operation) {
  const rows = operation.parameters.map((one) => {
    const schema = document.resolve(one.schema);
    return h("tr", null,
      h("td.code", null, one.style === "deepObject" ? `${one.name}[…]` : one.name), h("td", null, one.in),
      h("td.code.types", null, typeOf(one.style === "deepObject" ? { enum: Object.keys(schema.properties ?? {}) } : one.schema)),
      h("td.wide", null, one.required ? h("span.chip.good", null, "required") : null, " ", prose(one.description ?? ""), " ", one.in === "header" ? "" : boundsOf(schema)));
  });
  return h("div.table", null, h("table", null, h("tbody", null, rows)));
}

/** @param {ApiDocument} document @param {Answer} told */
function answer(document, told) {
  const isRight = told.status < "400";
  const types = Object.entries(told.content).map(([media, { schema }]) => [h("p.dim", null, media), media === "application/json" && schema ? shape(document, schema) : null]);
  return h("details.status", null,
    h("summary", null, h(`span.chip.${isRight ? "good" : "bad"}`, null, told.status), " ",
      told.codes.length ? told.codes.map(({ code }, i) => [i ? ", " : "", h("code", null, code)]) : told.told),
    told.codes.length
      ? h("dl.codes", null, told.codes.map(({ code, told: text }) => [h("dt", null, h("code", null, code)), h("dd", null, prose(text))]))
      : [types, told.headers.length ? h("p.dim", null, `Headers: ${told.headers.join(", ")}`) : null]);
}
