// @ts-check
// The way in: an admin token, exchanged for a cookie that scripts can't read. Other ways in will stand beside it.

import { ApiError, post, session } from "./api.js";
import { brand } from "./brand.js";
import { h } from "./dom.js";

/** @param {Element} root @param {any} said what `/studio/session` says @param {(session: any) => void} entered @param {string} [why] */
export function showSignIn(root, said, entered, why = "") {
  document.title = "Sign in · Pylon Studio";
  const way = said.methods.includes("token") ? tokenForm(entered) : noToken(said.dev);
  root.replaceChildren(h("main.signin", null, h("div.card", null,
    h("div.brand", null, brand(), h("h1", null, "Pylon Studio", h("small", null, said.app.name))),
    why ? h("p.why", { role: "status" }, why) : null, way)));
  /** @type {HTMLElement|null} */ (root.querySelector("input"))?.focus();
}

/** @param {(session: any) => void} entered */
function tokenForm(entered) {
  const token = h("input", { type: "password", name: "token", required: true, autocomplete: "current-password", spellcheck: false, data: { testid: "token" } });
  const problem = h("p.problem", { role: "alert", data: { testid: "signin-problem" } });
  const button = h("button.primary", { type: "submit", data: { testid: "signin" } }, "Sign in");
  // The password manager files the token under this name.
  const user = h("input", { type: "text", name: "username", value: "admin", autocomplete: "username", hidden: true });
  const form = h("form", null, user,
    h("label.field", null, h("span", null, "Admin token"), token),
    h("p.dim", null, "Paste a token from PYLON_ADMIN_TOKEN. The browser does not keep it: it gets a session of 12 hours that ends with the token."),
    problem, button);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      await post("/studio/session", { token: token.value });
      const now = await session();
      if (now.signed_in) return entered(now);
      problem.textContent = "The token is right, but the browser dropped the cookie: it is for HTTPS only. Open Studio over HTTPS, or through a tunnel to localhost.";
    } catch (error) {
      const { message, hint } = /** @type {ApiError} */ (error);
      problem.textContent = [message, hint].filter(Boolean).join(". ").replace("..", ".");
      token.select();
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

/** @param {boolean} dev */
function noToken(dev) {
  return h("div.how", { data: { testid: "no-token" } },
    h("h2", null, "No admin token is set"),
    h("p", null, "Studio opens for whoever holds one. Make one, put it into the ", h("code", null, ".env"), " file of the app, and start the server again:"),
    h("pre", null, "echo \"PYLON_ADMIN_TOKEN=$(openssl rand -hex 32)\" >> .env\n", dev ? "pylon dev" : "pylon start"));
}
