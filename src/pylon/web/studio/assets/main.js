// @ts-check
// Studio's start: who is it, which page, and what frames every page: the navigation, the switch banner, the state of the line.

import { complain, session, remove, whenSignedOut, attempt } from "./core/api.js";
import { app, remember } from "./core/app.js";
import { brand } from "./core/brand.js";
import { fill, h, icon, keyed, say } from "./core/dom.js";
import { duration, some, who } from "./core/format.js";
import { listenToKeys, showKeys } from "./core/keys.js";
import { pulse } from "./core/pulse.js";
import { showSignIn } from "./core/signin.js";
import { ending, isFromFile, isGrave, named, sentence, turnOff } from "./core/switching.js";
import { GROUPS, PAGES } from "./pages.js";

const root = /** @type {HTMLElement} */ (document.getElementById("studio"));
/** @type {AbortController|null} */ let frame = null;
/** @type {AbortController|null} */ let visit = null;

/** @param {any} said */
function enter(said) {
  leave();
  remember(said);
  frame = new AbortController();
  root.replaceChildren(shell(frame.signal));
  pulse.start();
  addEventListener("hashchange", show, { signal: frame.signal });
  show();
}

function leave() {
  visit?.abort();
  frame?.abort();
  visit = frame = null;
  pulse.stop();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/** @param {string} [why] */
async function signInAgain(why) {
  leave();
  const said = await session();
  showSignIn(root, said, enter, why);
}

/** Opens the page that the address names; a page that fails says so and leaves the others alone. */
async function show() {
  const [id, query] = location.hash.replace(/^#\/?/, "").split("?");
  const page = PAGES.find((one) => one.id === id) ?? PAGES[0];
  visit?.abort();
  const mine = (visit = new AbortController());
  const place = /** @type {HTMLElement} */ (document.getElementById("page"));
  document.title = `${page.title} · ${app.name} · Pylon Studio`;
  say(/** @type {Element} */ (document.getElementById("title")), page.title);
  document.body.classList.remove("menu");
  for (const link of root.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${page.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const actions = fill(/** @type {Element} */ (document.getElementById("actions")));
  fill(place);
  place.scrollTop = 0;
  try {
    const module = await page.load();
    if (mine.signal.aborted) return;
    place.dataset.page = page.id;
    await module.open(place, { query: new URLSearchParams(query), signal: mine.signal, actions: /** @type {HTMLElement} */ (actions) });
  } catch (error) {
    if (!mine.signal.aborted) complain(error);
  }
}

/** @param {AbortSignal} signal */
function shell(signal) {
  const links = GROUPS.map(({ title, pages }) => [
    h("h2", null, title),
    h("ul", null, pages.map((page) => h("li", null, h("a", { href: `#/${page.id}`, data: { testid: `nav-${page.id}` } }, icon(page.id), page.title)))),
  ]);
  const out = h("button.plain", { type: "button", data: { testid: "signout" }, onclick: async () => {
    if (await attempt(() => remove("/studio/session"))) await signInAgain();
  } }, icon("out"), "Sign out");
  const menu = h("button.plain.menu", { type: "button", aria: { label: "Pages", controls: "side", expanded: "false" }, onclick: () => {
    menu.setAttribute("aria-expanded", String(document.body.classList.toggle("menu")));
  } }, icon("menu"));
  const main = h("main", null,
    h("header.bar", null, menu, h("h1", { id: "title" }), h("div.actions", { id: "actions" }), line(signal), clock(signal)),
    h("div.page", { id: "page", tabIndex: -1 }));
  main.addEventListener("click", () => document.body.classList.remove("menu"), { capture: true, signal });
  return h("div.studio", null,
    h("a.skip", { href: "#page", onclick: (/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("page")?.focus(); } }, "Skip to the page"),
    banner(signal),
    h("aside", { id: "side" },
      h("div.brand", null, brand(), h("span", null, app.name, h("small", null, app.dev ? "Pylon Studio · dev" : "Pylon Studio"))),
      h("nav", { aria: { label: "Pages" } }, links),
      h("footer", null,
        h("a", { href: "/docs", hidden: !app.docs, data: { testid: "docs-link" } }, "API"),
        h("button.plain", { type: "button", onclick: () => showKeys(PAGES) }, h("kbd", null, "?"), "Keys"), out)),
    main);
}

/** What is switched off, on every page and not to be overlooked. @param {AbortSignal} signal */
function banner(signal) {
  const list = h("ul");
  pulse.follow(({ switches = [] }) => {
    const grave = switches.filter(isGrave), others = switches.filter((/** @type {any} */ s) => !isGrave(s));
    const items = grave.map((/** @type {any} */ s) => ({ key: s.id, data: { one: s } }));
    if (others.length) items.push({ key: "others", data: { others } });
    keyed(list, items, (data) => data.one ? graveLine(data.one) : otherLine(data.others));
  }, signal);
  return h("div.banner", { role: "alert", aria: { label: "Switches that are on" }, data: { testid: "banner" } }, list);
}

/** @param {any} s */
function graveLine(s) {
  const text = s.scope === "server" ? "Maintenance mode" : "Read-only";
  return h("li.grave", { data: { testid: "banner-grave" } },
    h("strong", null, text), h("span", null, sentence(s)),
    h("span.facts", null, [s.reason ? `“${s.reason}”` : "", s.by ? `by ${who(s.by)}` : "", ending(s)].filter(Boolean).join(" · ")),
    isFromFile(s) ? h("span", null, "Set by the file “maintenance” in the data folder")
      : h("button", { type: "button", onclick: () => turnOff(s), data: { testid: "banner-off" } }, "Turn off"));
}

/** @param {any[]} others */
function otherLine(others) {
  return h("li", null,
    h("strong", null, `${some(others.length, "switch is", "switches are")} on`),
    h("span", null, others.slice(0, 6).map(named).join(", "), others.length > 6 ? " …" : ""),
    h("a", { href: "#/switches" }, "Review"));
}

/** Whether what is shown is fresh. @param {AbortSignal} signal */
function line(signal) {
  const element = h("span.line", { role: "status", data: { testid: "line" } });
  const write = () => {
    element.dataset.state = pulse.state;
    document.body.classList.toggle("stale", ["lost", "failing"].includes(pulse.state));
    const age = pulse.heard ? ` for ${duration((Date.now() - pulse.heard) / 1000)}` : "";
    say(element, { waiting: "connecting", live: "live", paused: "paused", missing: "no overview", lost: `no answer${age}`, failing: `the overview fails${age}` }[pulse.state]);
  };
  pulse.addEventListener("state", write, { signal });
  pulse.addEventListener("beat", write, { signal });
  write();
  return element;
}

/** UTC, as in every log. @param {AbortSignal} signal */
function clock(signal) {
  const element = h("time.clock", { title: "UTC" });
  const write = () => say(element, `${new Date().toISOString().slice(11, 19)} UTC`);
  const timer = setInterval(write, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  write();
  return element;
}

listenToKeys(PAGES);
whenSignedOut(() => { if (frame) signInAgain("Your session has ended. Sign in to go on where you were.").catch(complain); });
session().then((said) => (said.signed_in ? enter(said) : showSignIn(root, said, enter))).catch((error) => {
  complain(error);
  root.replaceChildren(h("main.signin", null, h("div.card", null, h("p", null, "The server does not answer."), h("button.primary", { type: "button", onclick: () => location.reload() }, "Try again"))));
});
