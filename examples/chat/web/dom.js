// @ts-check
// Drawing without a framework: make elements, keep lists in step with rows, and say times as people do.

/** An element with properties (`dataset`, `ariaLabel`, `onclick` …) and children.
 * @param {string} tag @param {Record<string, any>} [properties] @param {...(Node|string|null)} children */
export function h(tag, { dataset = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  Object.assign(element.dataset, dataset);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Makes the children of `list` those that `items` describe, in order. An element whose description is unchanged
 * stays untouched, so focus, hover and selection survive.
 * @template T
 * @param {HTMLElement} list @param {{key: string, data: T}[]} items @param {(data: T) => HTMLElement} build
 */
export function keyed(list, items, build) {
  const old = new Map([...list.children].map((child) => [/** @type {any} */ (child).key, /** @type {any} */ (child)]));
  items.forEach(({ key, data }, i) => {
    const looks = JSON.stringify(data);
    let element = old.get(key);
    if (element?.looks !== looks) {
      const hadFocus = element?.contains(document.activeElement) && document.activeElement?.getAttribute("data-focus");
      const built = /** @type {any} */ (build(data));
      Object.assign(built, { key, looks });
      element?.replaceWith(built);
      element = built;
      if (hadFocus) built.querySelector(`[data-focus="${CSS.escape(hadFocus)}"]`)?.focus();
    }
    old.delete(key);
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
  for (const element of old.values()) element.remove();
}

/** Initials on a colour that stays with the person. @param {string} id @param {string} name */
export function avatar(id, name) {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const words = name.trim().split(/\s+/);
  const initials = (words.length > 1 ? [words[0], words[words.length - 1]] : [name]).map((word) => [...word][0] ?? "?").join("");
  const element = h("span", { className: "avatar", textContent: initials.toUpperCase(), ariaHidden: "true" });
  element.style.background = `oklch(0.53 0.11 ${(hash * 137.508) % 360})`;
  return element;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** @param {string} iso */
export const timeOf = (iso) => clock.format(new Date(iso));

/** @param {string} iso */
export function dayOf(iso) {
  const day = new Date(iso).toDateString();
  if (day === new Date().toDateString()) return "Today";
  if (day === new Date(Date.now() - 86_400_000).toDateString()) return "Yesterday";
  return date.format(new Date(iso));
}
