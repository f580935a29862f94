// @ts-check
// Toasts: short messages that go by themselves, except failures, which stay until they are read.

import { h, icon } from "./dom.js";

/** Above an open dialog, which stands above everything else. @param {HTMLElement} box */
function raise(box) {
  if (box.matches(":popover-open")) box.hidePopover();
  box.showPopover();
}

const AT_MOST = 4;
const SHOWN_MS = 5000;

/** @param {"done"|"problem"} kind @param {string} text @param {string[]} [more] */
export function toast(kind, text, more = []) {
  const box = document.getElementById("toasts");
  if (!box) return;
  const looks = [text, ...more.slice(0, -1)].join("\n");
  for (const old of [...box.children]) if (/** @type {any} */ (old).looks === looks) old.remove();
  const close = h("button.plain", { type: "button", aria: { label: "Dismiss" }, onclick: () => element.remove() }, icon("close"));
  const element = h(`div.toast.${kind}`, { role: kind === "problem" ? "alert" : "status", data: { testid: `toast-${kind}` } },
    h("div", null, h("strong", null, text), ...more.map((line) => h("p", null, line))), close);
  element.looks = looks;
  box.append(element);
  raise(box);
  while (box.children.length > AT_MOST) box.firstElementChild?.remove();
  if (kind === "done") setTimeout(() => element.remove(), SHOWN_MS);
}
