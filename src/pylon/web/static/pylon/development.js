// @ts-check
/** Under `pylon dev`: the page reloads when the app was reloaded, and shows why when it could not be. */
import { parsed } from "./streams.js";

export async function watchDevServer() {
  const answer = await fetch("/_pylon/dev/diagnostics").catch(() => null);
  if (!answer?.ok) return;
  let running = "";
  const events = new EventSource("/_pylon/dev/live");
  events.addEventListener("hello", ({ data }) => {
    if (running && running !== data) location.reload();
    running = data;
  });
  events.addEventListener("diagnostics", ({ data }) => showErrors(parsed(data)?.errors ?? []));
  showErrors((await answer.json().catch(() => ({}))).errors ?? []);
}

/** @param {{message: string, file?: string, line?: number}[]} errors */
function showErrors(errors) {
  document.getElementById("pylon-dev-errors")?.remove();
  if (!errors.length) return;
  const banner = document.createElement("pre");
  banner.id = "pylon-dev-errors";
  banner.setAttribute("role", "alert");
  banner.style.cssText =
    "position:fixed;inset:auto 0 0 0;z-index:2147483647;margin:0;padding:14px 18px;max-height:50vh;overflow:auto;" +
    "background:#2b0d10;color:#ffd9d6;border-top:3px solid #ff5c52;font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap";
  const where = errors.map(({ message, file, line }) => (file ? `${file}${line ? `:${line}` : ""}\n${message}` : message));
  banner.textContent = `The app has an error; the last good version is still running.\n\n${where.join("\n\n")}`;
  document.body.append(banner);
}
