// @ts-check
// Schemas for readers: a line of text, a table of properties, and an example to begin with.

import { h } from "/studio/core/dom.js";

/** @typedef {import("./document.js").ApiDocument} ApiDocument @typedef {import("./document.js").Schema} Schema */

const NAME = /^#\/components\/schemas\/(.+)$/;
const DEEPEST = 6;
const WHOLE = [-(2 ** 63), 2 ** 63, 2 ** 63 - 1];

/** @param {Schema|undefined} schema */
export const nameOf = (schema) => NAME.exec(schema?.$ref ?? "")?.[1] ?? "";

/** A type as text with links to schemas: `string | null`, `Note[]`. @param {Schema|undefined} schema @returns {any[]} */
export function typeOf(schema) {
  const name = nameOf(schema);
  if (name) return [h("a", { href: `#/schema/${encodeURIComponent(name)}` }, name.replace(/^pylon\.(?:.*\.)?/, ""))];
  if (!schema || !Object.keys(schema).length) return ["anything"];
  if (schema.enum) return [schema.enum.map((/** @type {any} */ value) => JSON.stringify(value)).join(" | ")];
  if ("const" in schema) return [JSON.stringify(schema.const)];
  const parts = schema.anyOf ?? schema.oneOf;
  if (parts) return joined(parts.map(typeOf));
  if (Array.isArray(schema.type)) return joined(schema.type.map((/** @type {string} */ type) => typeOf({ ...schema, type })));
  if (schema.type === "array") {
    const items = typeOf(schema.prefixItems ? { anyOf: schema.prefixItems } : schema.items);
    return [...(items.length > 1 || String(items[0]).includes(" ") ? ["(", ...items, ")"] : items), "[]"];
  }
  if (schema.type === "object" && schema.additionalProperties && typeof schema.additionalProperties === "object") {
    return ["{[name]: ", ...typeOf(schema.additionalProperties), "}"];
  }
  if (schema.type === "object" && schema.properties) return ["{", Object.keys(schema.properties).join(", "), "}"];
  return [schema.format === "date-time" ? "date-time" : schema.type ?? "anything"];
}

/** @param {any[][]} types */
const joined = (types) => types.flatMap((type, i) => (i ? [" | ", ...type] : type));

/** What bounds its values, in words. @param {Schema|undefined} schema */
export function boundsOf(schema) {
  if (!schema) return "";
  const { minimum, maximum, minLength, maxLength, pattern, minItems, maxItems } = schema;
  const said = [];
  if (minimum !== undefined && !WHOLE.includes(minimum)) said.push(`≥ ${minimum}`);
  if (maximum !== undefined && !WHOLE.includes(maximum)) said.push(`≤ ${maximum}`);
  if (minLength !== undefined || maxLength !== undefined) said.push(`${minLength ?? 0}–${maxLength ?? "∞"} characters`);
  if (minItems !== undefined) said.push(minItems === maxItems ? `${minItems} items` : `at least ${minItems} items`);
  if (pattern !== undefined) said.push(`matches ${pattern}`);
  if ("default" in schema) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join(", ");
}

/** The properties of an object as a table; `marks` adds a chip or two. @param {ApiDocument} document @param {Schema} schema @param {(name: string) => any[]} [marks] */
export function properties(document, schema, marks = () => []) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, of]) => h("tr", { data: { testid: "field" } },
    h("td.code", null, name),
    h("td.code", null, typeOf(of)),
    h("td", null, required.has(name) ? h("span.chip.good", null, "required") : null, marks(name)),
    h("td.wide", null, [of.description, boundsOf(of)].filter(Boolean).join(" · "))));
  if (!rows.length) return h("p.dim", null, "An object without declared properties.");
  return h("div.table", null, h("table", null,
    h("thead", null, h("tr", null, ["name", "type", "", ""].map((title) => h("th", null, title)))),
    h("tbody", null, rows)));
}

/** Any schema: a table for an object, else its type. @param {ApiDocument} document @param {Schema|undefined} schema @returns {any} */
export function shape(document, schema) {
  const seen = document.resolve(schema);
  const name = nameOf(schema);
  const title = name ? h("p", null, "Schema ", typeOf(schema)) : null;
  if (seen.properties) return [title, properties(document, seen)];
  const parts = seen.anyOf ?? seen.oneOf;
  if (parts && parts.some((/** @type {Schema} */ part) => document.resolve(part).properties)) {
    return [title, parts.map((/** @type {Schema} */ part, /** @type {number} */ i) => [i ? h("p.dim", null, "or") : null, shape(document, part)])];
  }
  return [title, h("p", null, h("code", null, typeOf(seen)), " ", h("span.dim", null, boundsOf(seen)))];
}

/** A value to begin with. Of an object only what it must have. @param {ApiDocument} document @param {Schema|undefined} schema @returns {any} */
export function example(document, schema, deep = 0) {
  const seen = document.resolve(schema);
  if (seen.examples) return seen.examples[0];
  if ("default" in seen) return seen.default;
  if (seen.enum) return seen.enum[0];
  if ("const" in seen) return seen.const;
  if (deep > DEEPEST) return null;
  const part = (seen.anyOf ?? seen.oneOf)?.[0];
  if (part) return example(document, part, deep + 1);
  switch (Array.isArray(seen.type) ? seen.type[0] : seen.type) {
    case "object": {
      const wanted = (seen.required ?? []).map((/** @type {string} */ name) => [name, example(document, seen.properties?.[name], deep + 1)]);
      return Object.fromEntries(wanted);
    }
    case "array":
      return Array.from({ length: Math.min(seen.minItems ?? 0, 64) }, () => example(document, seen.items, deep + 1));
    case "string":
      return seen.format === "date-time" ? new Date().toISOString() : "".padEnd(seen.minLength ?? 0, "x");
    case "integer":
    case "number":
      return Math.max(seen.minimum ?? 0, Math.min(0, seen.maximum ?? 0));
    case "boolean":
      return false;
    default:
      return null;
  }
}
