// @ts-check
// Drawing without a framework: make elements, and keep lists in step with data without losing focus.

/**
 * An element: `h("div.card", {id: "x", onclick}, child, …)`. Classes follow the tag; properties are assigned; `aria` and
 * `data` take objects, `attributes` is for what has no property.
 * @param {string} tag @param {Record<string, any>|null} [properties] @param {...any} children nodes and text, in arrays as deep as they come; null, undefined and false are left out
 * @returns {any}
 */
export function h(tag, properties, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  apply(element, properties ?? {});
  append(element, children);
  return element;
}

/** @param {any} element @param {Record<string, any>} properties */
function apply(element, { data = {}, aria = {}, attributes = {}, ...properties }) {
  for (const [key, value] of Object.entries(properties)) if (value !== undefined) element[key] = value;
  for (const [key, value] of Object.entries(data)) if (value !== undefined && value !== null) element.dataset[key] = value;
  for (const [key, value] of Object.entries(aria)) if (value !== undefined && value !== null) element.setAttribute(`aria-${key}`, value);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) element.setAttribute(key, value);
}

/** @param {Node} element @param {any[]} children */
function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Makes these the children. @param {Element} element @param {...any} children */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Sets the text only when it differs, so that nothing is selected or announced twice. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of `list` those that `items` describe, in order. An element whose description is unchanged stays
 * untouched, so focus, hover and selection survive.
 * @template T
 * @param {Element} list @param {{key: string, data: T}[]} items @param {(data: T) => HTMLElement} build
 */
export function keyed(list, items, build) {
  const old = new Map([...list.children].map((child) => [/** @type {any} */ (child).key, /** @type {any} */ (child)]));
  items.forEach(({ key, data }, i) => {
    const looks = JSON.stringify(data);
    let element = old.get(key);
    if (element?.looks !== looks) {
      const focused = element?.contains(document.activeElement) ? document.activeElement : null;
      const place = focused ? [...element.querySelectorAll("button, a, [tabindex]")].indexOf(focused) : -1;
      const built = /** @type {any} */ (build(data));
      Object.assign(built, { key, looks });
      element?.replaceWith(built);
      element = built;
      if (focused) (place < 0 ? built : built.querySelectorAll("button, a, [tabindex]")[place])?.focus();
    }
    old.delete(key);
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
  for (const element of old.values()) element.remove();
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  switches: "M8 7h8a5 5 0 0 1 0 10H8A5 5 0 0 1 8 7zm0 2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  talkers: "M4 20V10m5.3 10V4m5.4 16v-7M20 20V8",
  sockets: "M9 3v5m6-5v5M6 8h12v3a6 6 0 0 1-12 0zm6 9v4",
  audit: "M6 3h9l4 4v14H6zm3 8h7m-7 4h7m-7-8h3",
  backups: "M4 7c0-2 3.6-3.5 8-3.5S20 5 20 7s-3.6 3.5-8 3.5S4 9 4 7zm0 0v10c0 2 3.6 3.5 8 3.5s8-1.5 8-3.5V7M4 12c0 2 3.6 3.5 8 3.5s8-1.5 8-3.5",
  incidents: "M12 3.5 22 20H2zM12 10v5m0 2.2v.3",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  out: "M14 4H5v16h9m-4-8h11m-4-4 4 4-4 4",
};

/** A line drawing that says nothing to screen readers. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[/** @type {keyof typeof ICONS} */ (name)] ?? "M4 4h16v16H4z");
  svg.append(path);
  return svg;
}
