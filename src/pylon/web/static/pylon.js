// @ts-check
/**
 * pylon.js: the browser's side of Pylon. Plain ES modules without dependencies and without a build; this one imports the
 * rest from /pylon/.
 *
 *   import { connect } from "/pylon.js";
 *   const db = connect();
 *   await db.guest();
 *   db.live("Todo", { where: { done: false }, order: "-created" }).subscribe(draw);
 *   await db.insert("Todo", { title: "milk" });
 */
import { watchDevServer } from "./pylon/development.js";

export { connect, Database } from "./pylon/database.js";
export { PylonError } from "./pylon/errors.js";
export { LiveFunction } from "./pylon/functions.js";
export { generateId } from "./pylon/ids.js";
export { Live } from "./pylon/live.js";
export { Room } from "./pylon/rooms.js";
export { parseEvents } from "./pylon/streams.js";
export { CollabText } from "./pylon/text.js";

if (["localhost", "127.0.0.1"].includes(globalThis.location?.hostname)) watchDevServer();
