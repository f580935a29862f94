// @ts-check
// Keys: `g` and a letter goes to a page, `/` to its filter, `?` lists them all.

import { h } from "./dom.js";

const PAUSE_MS = 1200;

/** @param {{key: string, id: string, title: string}[]} pages */
export function listenToKeys(pages) {
  let going = 0;
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const page = Date.now() - going < PAUSE_MS ? pages.find(({ key }) => key === event.key) : undefined;
    going = 0;
    if (page) location.hash = `#/${page.id}`;
    else if (event.key === "g") going = Date.now();
    else if (event.key === "?") showKeys(pages);
    else if (event.key === "/") /** @type {HTMLElement|null} */ (document.querySelector("main [data-filter]"))?.focus();
    else if (event.key === "n") /** @type {HTMLElement|null} */ (document.querySelector("main [data-new]"))?.click();
    else return;
    event.preventDefault();
  });
}

/** @param {{key: string, title: string}[]} pages */
export function showKeys(pages) {
  const line = (/** @type {string[]} */ keys, /** @type {string} */ text) => h("div", null, h("dt", null, keys.map((key) => h("kbd", null, key))), h("dd", null, text));
  const dialog = h("dialog.keys", { aria: { label: "Keys" }, data: { testid: "keys" } },
    h("h2", null, "Keys"),
    h("dl", null,
      ...pages.map(({ key, title }) => line(["g", key], title)),
      line(["/"], "Filter or search on this page"), line(["n"], "The page's main action"),
      line(["↑", "↓"], "Walk the rows of a table"), line(["Enter"], "Open the row"), line(["Esc"], "Close, or leave a field"), line(["?"], "This list")),
    h("menu", null, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.addEventListener("click", (/** @type {Event} */ event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
