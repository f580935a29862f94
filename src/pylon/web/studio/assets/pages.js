// @ts-check
// The pages, in the order of the navigation. A new page is a file in pages/ and a line here.

/**
 * @typedef {{query: URLSearchParams, signal: AbortSignal, actions: HTMLElement}} Visit
 * `signal` ends the visit; `actions` is the place for buttons beside the page's title.
 * @typedef {{open: (root: HTMLElement, visit: Visit) => void|Promise<void>}} PageModule
 * @typedef {{id: string, title: string, key: string, load: () => Promise<PageModule>}} Entry
 */

/** @type {{title: string, pages: Entry[]}[]} */
export const GROUPS = [
  {
    title: "Now",
    pages: [
      { id: "overview", title: "Overview", key: "o", load: () => import("./pages/overview.js") },
      { id: "talkers", title: "Top talkers", key: "t", load: () => import("./pages/talkers.js") },
      { id: "sockets", title: "Sockets", key: "k", load: () => import("./pages/sockets.js") },
    ],
  },
  {
    title: "Act",
    pages: [
      { id: "switches", title: "Switches", key: "s", load: () => import("./pages/switches.js") },
      { id: "backups", title: "Backups", key: "b", load: () => import("./pages/backups.js") },
    ],
  },
  {
    title: "Explain",
    pages: [
      { id: "audit", title: "Audit", key: "a", load: () => import("./pages/audit.js") },
      { id: "incidents", title: "Incidents", key: "i", load: () => import("./pages/incidents.js") },
    ],
  },
];

export const PAGES = GROUPS.flatMap(({ pages }) => pages);
