// @ts-check
// The way in: an operator's name and password, or an admin token, exchanged for a cookie that scripts can't read.

import { ApiError, post, session } from "./api.js";
import { brand } from "./brand.js";
import { h } from "./dom.js";

/** @param {Element} root @param {any} said what `/studio/session` says @param {(session: any) => void} entered @param {string} [why] */
export function showSignIn(root, said, entered, why = "") {
  document.title = "Sign in · Pylon Studio";
  const ways = [
    said.methods.includes("password") ? nameForm(entered) : null,
    said.methods.includes("token") ? tokenForm(entered) : null,
  ].filter((one) => one !== null);
  const way = ways.length ? ways : [noToken(said.dev)];
  root.replaceChildren(h("main.signin", null, h("div.card", null,
    h("div.brand", null, brand(), h("h1", null, "Pylon Studio", h("small", null, said.app.name))),
    why ? h("p.why", { role: "status" }, why) : null, ...way)));
  /** @type {HTMLElement|null} */ (root.querySelector("input"))?.focus();
}

/** @param {(session: any) => void} entered */
function nameForm(entered) {
  const user = h("input", { type: "text", name: "username", required: true, autocomplete: "username", spellcheck: false, data: { testid: "username" } });
  const password = h("input", { type: "password", name: "password", required: true, autocomplete: "current-password", data: { testid: "password" } });
  const code = h("input", { type: "text", name: "code", autocomplete: "one-time-code", inputmode: "numeric", data: { testid: "code" } });
  return wayIn("signin-name", [
    h("label.field", null, h("span", null, "Name"), user),
    h("label.field", null, h("span", null, "Password"), password),
    h("label.field", null, h("span", null, "Code of your authenticator app, if you have one"), code),
  ], () => ({ username: user.value, password: password.value, code: code.value }), password, entered);
}

/** @param {(session: any) => void} entered */
function tokenForm(entered) {
  const token = h("input", { type: "password", name: "token", required: true, autocomplete: "current-password", spellcheck: false, data: { testid: "token" } });
  // The password manager files the token under this name.
  const user = h("input", { type: "text", name: "username", value: "admin", autocomplete: "username", hidden: true });
  return wayIn("signin", [
    user, h("label.field", null, h("span", null, "Admin token"), token),
    h("p.dim", null, "Paste a token from PYLON_ADMIN_TOKEN. The browser does not keep it: it gets a session of 12 hours that ends with the token."),
  ], () => ({ token: token.value }), token, entered);
}

/** @param {string} testid @param {any[]} fields @param {() => any} sent @param {any} secret @param {(session: any) => void} entered */
function wayIn(testid, fields, sent, secret, entered) {
  const problem = h("p.problem", { role: "alert", data: { testid: `${testid}-problem` } });
  const button = h("button.primary", { type: "submit", data: { testid } }, "Sign in");
  const form = h("form", null, ...fields, problem, button);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      await post("/studio/session", sent());
      const now = await session();
      if (now.signed_in) return entered(now);
      problem.textContent = "That was right, but the browser dropped the cookie: it is for HTTPS only. Open Studio over HTTPS, or through a tunnel to localhost.";
    } catch (error) {
      const { message, hint } = /** @type {ApiError} */ (error);
      problem.textContent = [message, hint].filter(Boolean).join(". ").replace("..", ".");
      secret.select();
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
