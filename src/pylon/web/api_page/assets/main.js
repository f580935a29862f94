// @ts-check
// The page's start: fetch the document, draw the frame, show what the address names.

import { brand } from "/studio/core/brand.js";
import { fill, h, icon, say } from "/studio/core/dom.js";
import { caller } from "./caller.js";
import { ApiDocument } from "./document.js";
import { entity, errors, functions, group, missing, nameOf, schema, start } from "./pages.js";
import { themes } from "./theme.js";

const root = /** @type {HTMLElement} */ (document.getElementById("docs"));
root.className = "docs";

/** @param {ApiDocument} api */
function shell(api) {
  const filter = h("input", { type: "search", placeholder: "Find  /", autocomplete: "off", spellcheck: false, aria: { label: "Find in the API" }, data: { testid: "find" } });
  const nav = h("nav", { aria: { label: "The API" } });
  const main = h("main", null,
    h("header.bar", null,
      h("button.plain.menu", { type: "button", aria: { label: "Contents", controls: "side" }, onclick: () => document.body.classList.toggle("menu") }, icon("menu")),
      h("h1", { id: "title" }), who(), themes()),
    h("div.page", { id: "page", tabIndex: -1 }));
  main.addEventListener("click", () => document.body.classList.remove("menu"), { capture: true });
  filter.oninput = () => links(api, nav, filter.value);
  filter.onkeydown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter") return;
    const first = nav.querySelector("li a");
    if (first) location.hash = first.getAttribute("href") ?? "";
  };
  addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      filter.focus();
    }
  });
  links(api, nav, "");
  return h("div.studio", null,
    h("a.skip", { href: "#page", onclick: (/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("page")?.focus(); } }, "Skip to the page"),
    h("aside", { id: "side" }, h("div.brand", null, brand(), h("span", null, api.title, h("small", null, `API ${api.version}`))), h("div.find", null, filter), nav), main);
}

/** The contents; with a word only what has it. @param {ApiDocument} api @param {Element} nav @param {string} word */
function links(api, nav, word) {
  const wanted = word.trim().toLowerCase();
  const has = (/** @type {string[]} */ ...texts) => texts.some((text) => text.toLowerCase().includes(wanted));
  const list = (/** @type {string} */ title, /** @type {[string, string, string?][]} */ items) =>
    items.length ? [h("h2", null, title), h("ul", null, items.map(([href, text, kind]) => h("li", null, h("a", { href: `#/${href}` }, text, kind ? h("small", null, kind) : null))))] : [];
  const of = (/** @type {string} */ name) => [name, ...Object.keys(api.schema(name)?.properties ?? {}), ...api.of(name).map((one) => one.path)];
  /** @type {[string, string, string?][]} */
  const other = api.groups.filter((one) => has(one.name, ...one.operations.flatMap((each) => [each.path, each.summary]))).map((one) => [`group/${encodeURIComponent(one.name)}`, one.name, String(one.operations.length)]);
  fill(nav,
    wanted ? [] : list("Start", [["", "Overview"], ["functions", "All functions"], ["schema", "Schemas"], ["errors", "Errors"]]),
    list("Entities", api.entities.filter((name) => has(...of(name))).map((name) => [`entity/${encodeURIComponent(name)}`, name])),
    list("Functions", api.functions.filter((one) => has(nameOf(one), one.summary)).map((one) => [`functions/${encodeURIComponent(one.id)}`, nameOf(one), one.kind])),
    list("Routes", other),
    wanted ? list("Schemas", api.schemas.filter((name) => has(name)).slice(0, 20).map((name) => [`schema/${encodeURIComponent(name)}`, name])) : []);
  mark(nav);
}

/** @param {ParentNode} nav */
function mark(nav) {
  const here = location.hash || "#/";
  for (const link of nav.querySelectorAll("a")) {
    if (link.getAttribute("href") === here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Whose calls are tried, and how to be somebody else. */
function who() {
  const name = h("span", { role: "status", data: { testid: "who" } });
  const token = h("input", { type: "password", placeholder: "token", autocomplete: "off", aria: { label: "Token" }, data: { testid: "token" } });
  const problem = h("small.problem", { role: "alert" });
  const show = async () => say(name, await caller.name());
  caller.addEventListener("change", show);
  show();
  const guest = h("button", { type: "button", data: { testid: "guest" }, onclick: async () => {
    say(problem, "");
    try { await caller.guest(); } catch (error) { say(problem, /** @type {Error} */ (error).message); }
  } }, "New guest");
  const own = h("button", { type: "button", data: { testid: "own" }, onclick: () => { token.value = ""; caller.use(""); } }, "This browser's session");
  return h("form.who", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); caller.use(token.value); token.value = ""; } },
    h("span.dim", null, "You are"), name, problem, token, h("button", { type: "submit" }, "Use"), guest, own);
}

/** Shows what the address names. @param {ApiDocument} api */
function show(api) {
  const [kind = "", name = ""] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const pages = /** @type {Record<string, () => [string, any[]]>} */ ({
    "": () => ["Overview", start(api)],
    entity: () => [name, api.entities.includes(name) ? entity(api, name) : missing()],
    functions: () => ["Functions", functions(api, name)],
    group: () => [name, group(api, name)],
    schema: () => [name || "Schemas", schema(api, name)],
    errors: () => ["Errors", errors(api)],
  });
  const [title, content] = Object.hasOwn(pages, kind) ? pages[kind]() : ["Not here", missing()];
  document.title = `${title} · ${api.title} API`;
  document.body.classList.remove("menu");
  say(/** @type {Element} */ (document.getElementById("title")), title);
  const page = /** @type {HTMLElement} */ (document.getElementById("page"));
  page.dataset.page = kind || "start";
  fill(page, content);
  page.scrollTop = 0;
  if (kind === "functions" && name) document.getElementById(`op-${name}`)?.scrollIntoView();
  mark(root);
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function open() {
  const answer = await caller.send("/api/openapi.json");
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error?.message ?? `The server answered ${answer.status}`);
  }
  const api = new ApiDocument(await answer.json());
  root.replaceChildren(shell(api));
  addEventListener("hashchange", () => show(api));
  show(api);
}

open().catch((error) => {
  root.replaceChildren(h("main.signin", null, h("div.card", null, h("p", { data: { testid: "failed" } }, error.message),
    h("button.primary", { type: "button", onclick: () => location.reload() }, "Try again"))));
});
