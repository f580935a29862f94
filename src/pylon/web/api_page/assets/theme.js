// @ts-check
// Light, dark, or as the system has it; kept in this browser.

import { h } from "/studio/core/dom.js";

const KEY = "pylon-docs-theme";
const THEMES = { auto: "light dark", light: "light", dark: "dark" };

/** @returns {keyof THEMES} */
function kept() {
  try {
    const name = localStorage.getItem(KEY) ?? "auto";
    return name in THEMES ? /** @type {keyof THEMES} */ (name) : "auto";
  } catch {
    return "auto"; // blocked by the browser
  }
}

/** @param {keyof THEMES} name */
function apply(name) {
  document.documentElement.style.colorScheme = THEMES[name];
}

/** A list to choose from. */
export function themes() {
  const list = h("select.themes", { aria: { label: "Colours" }, data: { testid: "theme" } }, Object.keys(THEMES).map((name) => h("option", { value: name }, name)));
  list.value = kept();
  list.onchange = () => {
    apply(list.value);
    try { localStorage.setItem(KEY, list.value); } catch { /* until the page is left */ }
  };
  return list;
}

apply(kept());
