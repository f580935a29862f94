// @ts-check
/**
 * `text/event-stream` bodies, and the actions that answer with one.
 * @typedef {{id: string|null, event: string, data: string}} Frame  One frame of a stream; `event` is "message" if unnamed.
 */
import { errorOf, PylonError } from "./errors.js";
import { nothing } from "./waiting.js";

/** Frames of a `text/event-stream` body. @param {ReadableStream<Uint8Array>} body @returns {AsyncGenerator<Frame, void>} */
export async function* parseEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A lone CR at the end may be the first half of CRLF: it waits for the next chunk.
      const safe = text.endsWith("\r") && !done ? text.length - 1 : text.length;
      const blocks = (text.slice(0, safe).replace(/\r\n?/g, "\n") + text.slice(safe)).split("\n\n");
      text = /** @type {string} */ (blocks.pop());
      for (const block of blocks) {
        const frame = frameOf(block);
        if (frame) yield frame;
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(nothing);
  }
}

/** @param {string} block @returns {Frame|null} */
function frameOf(block) {
  /** @type {Frame} */
  const frame = { id: null, event: "message", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === "data") data.push(value);
    else if (name === "event") frame.event = value;
    else if (name === "id") frame.id = value;
  }
  frame.data = data.join("\n");
  return data.length ? frame : null; // a comment such as ": hb"
}

/** A frame's JSON, null if it is none: an unknown frame is no reason to drop a connection. @param {string} text */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Calls an action and yields the frames it streams; returns the action's result.
 * @param {import("./http.js").Http} http @param {string} name @param {Record<string, any>} args @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<Frame, any>}
 */
export async function* streamOf(http, name, args, signal) {
  const headers = { Accept: "text/event-stream, application/json" };
  const response = await http.send("POST", `/api/fn/${encodeURIComponent(name)}`, args, { signal, headers });
  if (!response.ok) throw await errorOf(response);
  if (!response.headers.get("Content-Type")?.includes("text/event-stream") || !response.body) return response.json();
  try {
    for await (const frame of parseEvents(response.body)) {
      if (frame.event === "result") return JSON.parse(frame.data);
      if (frame.event === "error") {
        const { code = "HANDLER_ERROR", message = frame.data, hint } = parsed(frame.data) ?? {};
        throw new PylonError(code, message, { hint, status: 200 });
      }
      yield frame;
    }
  } catch (raised) {
    if (raised instanceof PylonError || signal?.aborted) throw raised;
    throw new PylonError("STREAM_INTERRUPTED", "The stream broke off before its result.", { cause: raised });
  }
  throw new PylonError("STREAM_INTERRUPTED", "The stream ended without a result.");
}
