// @ts-check
// Overview: is it well, since when, and what moved in the last ten minutes.

import { chart } from "../core/chart.js";
import { fill, h, keyed, say } from "../core/dom.js";
import { ago, bytes, count, duration, figure, milliseconds } from "../core/format.js";
import { pulse } from "../core/pulse.js";

/** @param {HTMLElement} root @param {import("../pages.js").Visit} visit */
export function open(root, { signal }) {
  const facts = h("dl.facts", { data: { testid: "facts" } });
  const alarms = h("ul.alarms", { aria: { live: "assertive", label: "Alarms" }, data: { testid: "alarms" } });
  const inside = h("dl.pairs", { data: { testid: "inside" } });
  const charts = h("div.charts", null, [
    { title: "Requests", series: "requests", format: figure, unit: "/s" },
    { title: "Errors", series: "errors", format: figure, unit: "/s", tone: "warn" },
    { title: "Writes", series: "writes", format: figure, unit: "/s" },
    { title: "Deliveries", series: "deliveries", format: figure, unit: "/s" },
    { title: "Latency p99", series: "p99", format: milliseconds, tone: "amber", least: 5 },
    { title: "Event loop lag", series: "lag", format: milliseconds, tone: "amber", least: 5 },
    { title: "Write-ahead log", series: "wal", format: bytes, tone: "blue", least: 1e6 },
    { title: "Disk free", series: "disk", format: bytes, tone: "blue", least: 1e9 },
    { title: "Open sockets", series: "sockets", format: count, tone: "blue", least: 5 },
  ].map((options) => chart(/** @type {any} */ (options), signal)));
  root.append(facts, alarms, charts, h("section.card", null, h("h2", null, "Inside"), inside));
  pulse.follow((o) => {
    show(facts, factsOf(o));
    keyed(alarms, o.alarms.map((/** @type {any} */ alarm) => ({ key: alarm.name, data: alarm })), alarmLine);
    show(inside, insideOf(o));
  }, signal);
}

/** @typedef {[string, string, ("good"|"bad"|"")?, string?]} Fact name, value, tone, title */

/** @param {any} o @returns {Fact[]} */
function factsOf(o) {
  const disk = o.disk ?? {}, used = disk.total_bytes ? 1 - disk.free_bytes / disk.total_bytes : 0;
  return [
    ["State", o.ready === null ? "Ready" : `Not ready: ${o.ready}`, o.ready === null ? "good" : "bad"],
    ["Alarms", o.alarms.length ? String(o.alarms.length) : "None", o.alarms.length ? "bad" : ""],
    ["Uptime", duration(o.uptime_secs)],
    ["Version", o.version],
    ["Memory", bytes(o.process?.rss_bytes)],
    ["CPU", `${figure(o.process?.cpu_percent)} %`],
    ["Disk free", bytes(disk.free_bytes), used > 0.9 ? "bad" : ""],
    ["Database", bytes(disk.database_bytes)],
  ];
}

/** @param {any} o @returns {Fact[]} */
function insideOf(o) {
  const { writes = {}, wal = {}, sockets = {}, queues = {}, process = {}, latency_ms: latency = {} } = o;
  return [
    ["Latency p50 · p99", `${milliseconds(latency.p50)} · ${milliseconds(latency.p99)}`],
    ["Commit, on average", milliseconds(writes.commit_ms_avg)],
    ["Writes waiting", count(writes.queued)],
    ["Largest batch", count(writes.largest_batch)],
    ["Checkpoints", count(wal.checkpoints)],
    ["Oldest reader", duration(wal.oldest_reader_secs)],
    ["WebSockets · streams", `${count(sockets.ws)} · ${count(sockets.sse)}`],
    ["Slow consumers closed", count(sockets.slow_closed)],
    ["Sockets refused", count(sockets.refused)],
    ["Unsent to sockets", bytes(sockets.unsent_bytes)],
    ["Queues: fan-out · audit · log", `${count(queues.fanout)} · ${count(queues.audit)} · ${count(queues.log)}`],
    ["Threads · open files", `${count(process.threads)} · ${count(process.open_files)}`],
  ];
}

/** @param {Element} list @param {Fact[]} facts */
function show(list, facts) {
  if (list.children.length !== facts.length) fill(list, facts.map(([name]) => h("div", null, h("dt", null, name), h("dd"))));
  facts.forEach(([, value, tone = ""], i) => {
    const cell = /** @type {HTMLElement} */ (list.children[i].lastElementChild);
    say(cell, value);
    cell.dataset.tone = tone;
  });
}

/** @param {any} alarm */
function alarmLine(alarm) {
  return h(`li.alarm.${alarm.severity === "critical" ? "critical" : "warning"}`, { data: { testid: "alarm" } },
    h("strong", null, alarm.name), h("span", null, alarm.text),
    h("small", null, [`since ${ago(alarm.since)}`, alarm.runbook].filter(Boolean).join(" · ")));
}
