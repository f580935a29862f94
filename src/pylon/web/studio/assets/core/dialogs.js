// @ts-check
// Questions before deeds: a dialog with what will happen, its fields, and, for the gravest, a word to type.

import { h } from "./dom.js";
import { complain } from "./api.js";

/**
 * Asks, acts, and closes when the act succeeded; a failure is said in the dialog and in a toast.
 * @param {object} question
 * @param {string} question.title
 * @param {any} [question.body] nodes between title and buttons
 * @param {string} question.confirm the label of the button that acts
 * @param {boolean} [question.danger]
 * @param {() => string} [question.typed] a word that must be typed first; empty for none
 * @param {(form: HTMLFormElement) => Promise<any>} question.act
 * @returns {Promise<boolean>} whether it was done
 */
export function ask({ title, body = [], confirm, danger = false, typed = () => "", act }) {
  return new Promise((resolve) => {
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    const button = h(`button.${danger ? "danger" : "primary"}`, { type: "submit", data: { testid: "dialog-confirm" } }, confirm);
    const input = h("input", { type: "text", autocomplete: "off", spellcheck: false, data: { testid: "dialog-typed" } });
    const word = h("b");
    const typing = h("label.typed", null, h("span", null, "Type ", word, " to confirm"), input);
    const problem = h("p.problem", { role: "alert" });
    const form = h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), body, typing, problem,
      h("menu", null, h("button", { type: "button", onclick: () => dialog.close(), data: { testid: "dialog-cancel" } }, "Cancel"), button));
    const dialog = h("dialog", { aria: { labelledby: "dialog-title" }, data: { testid: "dialog" } }, form);
    let done = false, busy = false;
    const check = () => {
      const needed = typed();
      word.textContent = needed;
      typing.hidden = !needed;
      button.disabled = busy || (needed !== "" && input.value.trim() !== needed);
    };
    form.addEventListener("input", check);
    form.addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      busy = true;
      check();
      problem.textContent = "";
      try {
        await act(form);
        done = true;
        dialog.close();
      } catch (error) {
        const { message, hint } = /** @type {any} */ (error);
        problem.textContent = [message, hint].filter(Boolean).join(". ").replace("..", ".");
        complain(error);
      }
      busy = false;
      check();
    });
    dialog.addEventListener("click", (/** @type {Event} */ event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(done);
    });
    document.body.append(dialog);
    check();
    dialog.showModal();
  });
}

/** A labelled field. @param {string} label @param {HTMLElement} control @param {string} [hint] */
export function field(label, control, hint) {
  return h("label.field", null, h("span", null, label), control, hint ? h("small", null, hint) : null);
}

/** A list of choices. @param {string} name @param {[string, string][]} choices @param {string} [chosen] */
export function select(name, choices, chosen) {
  const element = h("select", { name, data: { testid: `field-${name}` } }, choices.map(([value, label]) => h("option", { value }, label)));
  if (chosen !== undefined) element.value = chosen;
  return element;
}

/** A line of text. @param {string} name @param {Record<string, any>} [properties] */
export const input = (name, properties = {}) =>
  h("input", { name, type: "text", autocomplete: "off", spellcheck: false, data: { testid: `field-${name}` }, ...properties });
