// @ts-check
// Trying a call out: a form for what it takes, the request as curl would send it, and the answer as it arrives.

import { fill, h, say } from "/studio/core/dom.js";
import { caller } from "./caller.js";
import { example } from "./shapes.js";

/** @typedef {import("./document.js").ApiDocument} ApiDocument @typedef {import("./document.js").Operation} Operation */
/** @typedef {{name: string, place: string, required: boolean, read: () => string}} Field */
/** @typedef {{path: string, headers: Record<string, string>, body: string|undefined}} Request */

const MOST_SHOWN = 200_000;
const SHOWN_HEADERS = ["content-type", "etag", "x-request-id", "x-pylon-change-seq", "x-pylon-stream-id", "retry-after", "location", "ratelimit-remaining"];

/** The form of an operation. @param {ApiDocument} document @param {Operation} operation */
export function trying(document, operation) {
  const { fields, inputs } = parameters(document, operation);
  const [media = ""] = Object.keys(operation.body?.content ?? {});
  const begins = media === "application/json" ? JSON.stringify(example(document, operation.body?.content[media].schema) ?? {}, null, 2) : "";
  const body = h("textarea", { value: begins, rows: Math.min(14, begins.split("\n").length + 1), spellcheck: false, data: { testid: "try-body" }, aria: { label: "Body" } });
  const problem = h("p.problem", { role: "alert", data: { testid: "try-problem" } });
  const answer = h("div.answer", { aria: { live: "polite" } });
  const curl = h("pre.curl", { data: { testid: "try-curl" } });
  const send = h("button.primary", { type: "submit", data: { testid: "try-send" } }, "Send");
  const stop = h("button", { type: "button", hidden: true, data: { testid: "try-stop" } }, "Stop");
  /** @type {AbortController|null} */ let running = null;
  stop.onclick = () => running?.abort();

  const request = () => built(operation, fields, media, body.value);
  const showCurl = () => { try { say(curl, asCurl(operation, request())); } catch { say(curl, ""); } };
  const form = h("form.try", { onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    say(problem, "");
    let asked;
    try { asked = request(); } catch (error) { say(problem, /** @type {Error} */ (error).message); return; }
    running = new AbortController();
    send.disabled = true;
    stop.hidden = false;
    try {
      await sent(operation, asked, answer, running.signal);
    } catch (error) {
      if (!running.signal.aborted) say(problem, `No answer: ${/** @type {Error} */ (error).message}`);
    } finally {
      running = null;
      send.disabled = false;
      stop.hidden = true;
    }
  }, oninput: showCurl },
    inputs.length ? h("div.inputs", null, inputs) : null,
    operation.body ? h("label.field", null, h("span", null, `body, ${media}`), body) : null,
    h("div.actions", null, send, stop), problem,
    h("details", null, h("summary", null, "As curl"), curl), answer);
  const leaves = new AbortController();
  caller.addEventListener("change", () => { if (form.isConnected) showCurl(); else leaves.abort(); }, { signal: leaves.signal });
  showCurl();
  return form;
}

/** @param {ApiDocument} document @param {Operation} operation */
function parameters(document, operation) {
  /** @type {Field[]} */ const fields = [];
  /** @type {any[]} */ const inputs = [];
  const add = (/** @type {string} */ name, /** @type {string} */ place, /** @type {boolean} */ required, /** @type {any} */ schema, /** @type {string} */ told) => {
    const seen = document.resolve(schema);
    const choices = seen.enum ?? null;
    const input = choices
      ? h("select", { required }, required ? null : h("option", { value: "" }, ""), choices.map((/** @type {any} */ value) => h("option", { value: String(value) }, String(value))))
      : h("input", { type: "text", required, autocomplete: "off", spellcheck: false, placeholder: [seen.type].flat()[0] ?? "" });
    input.dataset.testid = `try-${name}`;
    fields.push({ name, place, required, read: () => input.value });
    inputs.push(h("label.field", { title: told }, h("span", null, name, h("small", null, ` ${place}${required ? ", required" : ""}`)), input));
  };
  for (const one of operation.parameters) {
    if (one.style === "deepObject") {
      for (const [name, schema] of Object.entries(one.schema.properties ?? {})) add(`${one.name}[${name}]`, "query", false, schema, "Rows where this field has this value.");
    } else add(one.name, one.in, one.required === true, one.schema, one.description ?? "");
  }
  return { fields, inputs };
}

/** @param {Operation} operation @param {Field[]} fields @param {string} media @param {string} text @returns {Request} */
function built(operation, fields, media, text) {
  let path = operation.path;
  const query = new URLSearchParams();
  /** @type {Record<string, string>} */ const headers = {};
  for (const { name, place, read } of fields) {
    const value = read();
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (!value) continue;
    else if (place === "header") headers[name] = value;
    else query.append(name, value);
  }
  const asked = query.toString();
  if (asked) path += `?${asked}`;
  let body;
  if (operation.body && (text.trim() || operation.body.required)) {
    headers["Content-Type"] = media;
    body = media === "application/json" ? JSON.stringify(parsed(text)) : text;
  }
  if (operation.answers.some(({ status, content }) => status < "300" && "text/event-stream" in content && "application/json" in content)) {
    headers.Accept = "text/event-stream, application/json;q=0.9";
  }
  return { path, headers, body };
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The body is no JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {Operation} operation @param {Request} request */
function asCurl(operation, { path, headers, body }) {
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -X ${operation.method} ${quoted(location.origin + path)}`];
  if (caller.token) lines.push(`-H 'Authorization: Bearer '"$TOKEN"`);
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

/** @param {Operation} operation @param {Request} request @param {Element} place @param {AbortSignal} signal */
async function sent(operation, { path, headers, body }, place, signal) {
  const began = performance.now();
  const status = h("p", { data: { testid: "try-status" } });
  const shown = h("pre", { tabIndex: 0, data: { testid: "try-answer" } });
  fill(place, status, shown);
  const answer = await caller.send(path, { method: operation.method, headers, body, signal });
  if (answer.type === "opaqueredirect") {
    say(status, "It leads elsewhere: open it in a tab of its own to follow.");
    return;
  }
  const told = () => fill(status, h(`span.chip.${answer.ok ? "good" : "bad"}`, null, `${answer.status} ${answer.statusText}`.trim()), ` ${Math.round(performance.now() - began)} ms`);
  told();
  const said = SHOWN_HEADERS.filter((name) => answer.headers.has(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
  status.after(h("p.dim.headers", null, said.join(" · ")));
  const text = await read(answer, (so) => say(shown, so));
  told();
  say(shown, pretty(text, answer.headers.get("content-type") ?? ""));
}

/** The text as it arrives; what is too long to show is left out. @param {Response} answer @param {(text: string) => void} show */
async function read(answer, show) {
  if (!answer.body) return "";
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
      if (text.length > MOST_SHOWN) {
        await reader.cancel();
        return `${text.slice(0, MOST_SHOWN)}\n… and more`;
      }
      show(text);
    }
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") return text;
    throw error;
  }
}

/** @param {string} text @param {string} type */
function pretty(text, type) {
  if (!type.startsWith("application/json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
