// @ts-check
// A table that keeps its rows in step with data, scrolls within its card, and can be walked with the arrow keys.

import { fill, h, keyed } from "./dom.js";

/**
 * @template T
 * @typedef {{label: string, cell: (row: T) => any, kind?: "number"|"code"|"buttons"|"wide", hideLabel?: boolean}} Column
 */

/**
 * @template T
 * @param {object} options
 * @param {string} options.caption what the table lists, for those who can't see it
 * @param {Column<T>[]} options.columns
 * @param {(row: T, i: number) => string} options.key
 * @param {any} options.empty what stands there when there is nothing
 * @param {(row: T) => void} [options.open] on click or Enter
 * @param {string} [options.testid]
 */
export function table({ caption, columns, key, empty, open, testid }) {
  const body = h("tbody");
  const head = h("tr", null, columns.map((column) =>
    h(`th${column.kind ? `.${column.kind}` : ""}`, { scope: "col" }, column.hideLabel ? h("span.hidden", null, column.label) : column.label)));
  const nothing = h("p.empty", { hidden: true }, empty);
  const element = h("div.table", { data: { testid } },
    h("table", null, h("caption.hidden", null, caption), h("thead", null, head), body), nothing);
  if (open) body.addEventListener("keydown", walk);

  /** @param {T} row */
  const build = (row) => {
    const tr = h("tr", { data: { testid: testid ? `${testid}-row` : undefined } },
      columns.map((column) => h(`td${column.kind ? `.${column.kind}` : ""}`, null, column.cell(row))));
    if (open) {
      tr.tabIndex = 0;
      tr.classList.add("opens");
      tr.onclick = (/** @type {any} */ event) => { if (!event.target.closest("button, a")) open(row); };
    }
    return tr;
  };

  return {
    element,
    /** @param {T[]} rows */
    show(rows) {
      keyed(body, rows.map((row, i) => ({ key: key(row, i), data: row })), build);
      nothing.hidden = rows.length > 0;
      head.parentElement.hidden = rows.length === 0;
    },
    /** Says something else when there is nothing. @param {any} text */
    whenEmpty(text) { fill(nothing, text); },
  };
}

/** @param {KeyboardEvent} event */
function walk(event) {
  const row = /** @type {HTMLElement} */ (event.target);
  if (row.tagName !== "TR") return;
  const to = { ArrowDown: row.nextElementSibling, j: row.nextElementSibling, ArrowUp: row.previousElementSibling, k: row.previousElementSibling }[event.key];
  if (to) /** @type {HTMLElement} */ (to).focus();
  else if (event.key === "Enter") row.click();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
