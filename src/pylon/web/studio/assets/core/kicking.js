// @ts-check
// Closing sockets: of one user, of one address, or all of them.

import { post } from "./api.js";
import { ask, field } from "./dialogs.js";
import { h } from "./dom.js";
import { duration, some } from "./format.js";
import { toast } from "./notices.js";
import { pulse } from "./pulse.js";

/** @param {{user?: string, ip?: string}} whose */
export function kick(whose) {
  const name = whose.user ? `user ${whose.user}` : whose.ip ?? "";
  return ask({
    title: `Close the sockets of ${name}?`,
    body: h("p", null, "Clients reconnect by themselves and lose nothing. To keep them out, block them with a switch."),
    confirm: "Close sockets",
    danger: true,
    async act() {
      const done = await post("/api/admin/sockets/kick", whose);
      pulse.refresh();
      toast("done", `Closed ${some(done.closed, "socket")} of ${name}`);
    },
  });
}

/** Closes all sockets, spread over some seconds. */
export function bounce() {
  const over = h("input", { name: "seconds", type: "number", min: "0", max: "600", value: "10", data: { testid: "field-seconds" } });
  return ask({
    title: "Bounce all sockets?",
    body: h("div.fields", null,
      h("p", null, "Every client is asked to reconnect. They catch up by their cursors, so nothing is lost; the load of reconnecting is spread over the time below."),
      field("Seconds to spread it over", over)),
    confirm: "Bounce all",
    danger: true,
    async act() {
      const done = await post("/api/admin/sockets/bounce", { seconds: Number(over.value) });
      pulse.refresh();
      toast("done", `Bouncing ${some(done.bouncing, "socket")} over ${duration(done.seconds)}`);
    },
  });
}
