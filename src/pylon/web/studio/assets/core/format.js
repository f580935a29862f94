// @ts-check
// Numbers and times as an operator reads them. Times are UTC, as logs and timelines are; the local time is in the title.

import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** @param {number|null|undefined} n */
export const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));

/** A rate or a figure in three places or so. @param {number|null|undefined} n */
export function figure(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  const size = Math.abs(n);
  if (size >= 1e6) return `${(n / 1e6).toFixed(size >= 1e7 ? 0 : 1)}M`;
  if (size >= 1e4) return `${(n / 1e3).toFixed(size >= 1e5 ? 0 : 1)}k`;
  if (size >= 100) return whole.format(n);
  if (size >= 10) return n.toFixed(1).replace(/\.0$/, "");
  if (size === 0) return "0";
  return size < 0.005 ? "<0.01" : n.toFixed(size < 1 ? 2 : 1).replace(/\.?0+$/, "");
}

/** @param {number|null|undefined} n */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = n, unit = 0;
  while (size >= 1000 && unit < 4) { size /= 1000; unit++; }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1).replace(/\.0$/, "")} ${units[unit]}`;
}

/** @param {number|null|undefined} n */
export const milliseconds = (n) => (n === null || n === undefined ? "–" : n >= 1000 ? `${figure(n / 1000)} s` : `${figure(n)} ms`);

/** How long, in two places at most. @param {number|null|undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 1) return `${Math.max(0, seconds).toFixed(1)} s`;
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([n]) => n);
  return parts.slice(first, first + 2).filter(([n]) => n).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

/** Unix seconds of what an API says: a number (seconds or milliseconds) or RFC 3339. @param {any} at */
export function seconds(at) {
  if (typeof at === "number") return at > 1e11 ? at / 1000 : at;
  const parsed = Date.parse(at ?? "");
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

/** @param {any} at */
export function ago(at) {
  const then = seconds(at);
  if (then === null) return "–";
  const passed = Date.now() / 1000 - then;
  return passed < 0 ? `in ${duration(-passed)}` : passed < 2 ? "now" : `${duration(passed).split(" ").slice(0, 2).join(" ")} ago`;
}

/** `03:12:45`, with the date unless it is today's; UTC. @param {any} at @param {boolean} [exact] */
export function utc(at, exact = false) {
  const then = seconds(at);
  if (then === null) return "–";
  const iso = new Date(then * 1000).toISOString();
  const clock = iso.slice(11, exact ? 23 : 19);
  return iso.slice(0, 10) === new Date().toISOString().slice(0, 10) ? clock : `${iso.slice(0, 10)} ${clock}`;
}

/** A moment in UTC, whose title says it in full and in local time. @param {any} at @param {boolean} [exact] */
export function when(at, exact = false) {
  const then = seconds(at);
  if (then === null) return h("span.dim", null, "–");
  const date = new Date(then * 1000);
  return h("time", { dateTime: date.toISOString(), title: `${date.toISOString()}\n${date.toLocaleString()} here` }, utc(then, exact));
}

/** Who did it: an admin token has no name of its own. @param {string|null|undefined} user */
export const who = (user) => (user === "__admin__" ? "admin" : user ?? "");

/** `1 row`, `2 rows`. @param {number} n @param {string} one @param {string} [many] */
export const some = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
