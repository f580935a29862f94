// @ts-check
// Calls to the server. A failure carries the server's code, message and hint; an ended session leads to the sign-in page.

import { toast } from "./notices.js";

/** What went wrong, in the server's words. */
export class ApiError extends Error {
  /** @param {number} status @param {{code?: string, message?: string, hint?: string}} error @param {string|null} requestId */
  constructor(status, error, requestId) {
    super(error.message ?? `The server answered ${status}`);
    this.status = status;
    this.code = error.code ?? "UNKNOWN";
    this.hint = error.hint ?? "";
    this.requestId = requestId;
  }
}

let onSignedOut = () => {};

/** Called when the server no longer knows this operator. @param {() => void} callback */
export function whenSignedOut(callback) {
  onSignedOut = callback;
}

/** @param {string} method @param {string} path @param {any} [body] @param {AbortSignal} [signal] */
async function send(method, path, body, signal) {
  /** @type {Record<string, string>} */
  const headers = { "X-Pylon-Studio": "1", Accept: path === "/metrics" ? "text/plain" : "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin", redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { code: "UNREACHABLE", message: "The server does not answer", hint: "It may be restarting, or the network is down." }, null);
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let problem = {};
  try { problem = JSON.parse(text).error ?? {}; } catch { /* a proxy's page; its status says enough */ }
  if ((answer.status === 401 || answer.status === 403) && path.startsWith("/api/") && !(await session()).signed_in) onSignedOut();
  throw new ApiError(answer.status, problem, answer.headers.get("x-request-id"));
}

/** @param {string} method @param {string} path @param {any} [body] @param {AbortSignal} [signal] */
async function call(method, path, body, signal) {
  const answer = await send(method, path, body, signal);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = (path, signal) => call("GET", path, undefined, signal);
/** @param {string} path */
export const getText = async (path) => (await send("GET", path)).text();
/** @param {string} path @param {any} [body] */
export const post = (path, body = {}) => call("POST", path, body);
/** @param {string} path @param {any} body */
export const put = (path, body) => call("PUT", path, body);
/** @param {string} path */
export const remove = (path) => call("DELETE", path);

/** Saves an answer as a file. @param {string} path @param {string} name */
export async function download(path, name) {
  const answer = await send("GET", path);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Who is signed in. @returns {Promise<any>} */
export const session = () => call("GET", "/studio/session");

/** A path with the parameters that have a value. @param {string} path @param {Record<string, any>} parameters */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return query ? `${path}?${query}` : path;
}

/**
 * What the action gives; undefined when it failed, which a toast then says.
 * @template T @param {() => Promise<T>} action @returns {Promise<T|undefined>}
 */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    complain(error);
    return undefined;
  }
}

/** Says a failure in a toast. @param {any} error */
export function complain(error) {
  if (error?.name === "AbortError") return;
  if (!(error instanceof ApiError)) console.error(error);
  const request = error.requestId ? `request ${error.requestId}` : "";
  toast("problem", error.message, [error.hint, [error.code, request].filter(Boolean).join(" · ")].filter(Boolean));
}
