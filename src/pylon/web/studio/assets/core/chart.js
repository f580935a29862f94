// @ts-check
// One live chart in a card: its name, the value now, and ten minutes of it. All charts share one cursor.

import { h, say } from "./dom.js";
import { pulse } from "./pulse.js";

const HEIGHT = 92;
const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.series a series of the pulse
 * @param {(n: number|null|undefined) => string} options.format
 * @param {string} [options.unit]
 * @param {"accent"|"warn"|"amber"|"blue"} [options.tone]
 * @param {number} [options.least] the scale reaches at least this far, so that noise stays small
 * @param {AbortSignal} signal
 */
export function chart({ title, series, format, unit = "", tone = "accent", least = 1 }, signal) {
  const value = h("b.value", { data: { testid: `now-${series}` } }, "–");
  const at = h("span.at");
  const plot = h("div.plot", { aria: { hidden: "true" } });
  const element = h("figure.chart.card", { data: { testid: `chart-${series}`, tone }, role: "group", aria: { label: title } },
    h("figcaption", null, h("span.name", null, title), at, h("span.now", null, value, unit ? h("small", null, unit) : null)), plot);
  /** @type {any} */ let drawn = null;

  const data = () => [pulse.times, pulse.series[series] ?? []];
  /** @param {number|null} i */
  const shown = (i) => (i === null ? pulse.series[series]?.at(-1) : pulse.series[series]?.[i]);

  function write() {
    const i = drawn?.cursor.idx ?? null;
    const now = shown(i);
    say(value, format(now));
    say(at, i === null || pulse.times[i] === undefined ? "" : new Date(pulse.times[i] * 1000).toISOString().slice(11, 19));
    element.classList.toggle("raised", tone === "warn" && (pulse.series[series]?.at(-1) ?? 0) > 0);
  }

  /** A colour of the stylesheet, as a canvas understands it. @param {string} name */
  function colour(name) {
    plot.style.color = `var(${name})`;
    const found = getComputedStyle(plot).color;
    plot.style.color = "";
    return found;
  }

  function draw() {
    drawn?.destroy();
    const line = colour("--tone"), dim = colour("--dim"), grid = colour("--line");
    const axis = { stroke: dim, font: "10.5px system-ui, sans-serif", ticks: { show: false }, grid: { stroke: grid, width: 1 } };
    const width = Math.max(120, plot.clientWidth);
    drawn = new /** @type {any} */ (globalThis).uPlot({
      width, height: HEIGHT, padding: [6, 4, 0, 0], legend: { show: false },
      tzDate: (/** @type {number} */ ts) => /** @type {any} */ (globalThis).uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
      cursor: { sync: { key: "pulse" }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => [(high ?? 0) - 600, high ?? 0] }, y: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => [0, Math.max(least, (high ?? 0) * 1.15)] } },
      axes: [
        { ...axis, size: 22, gap: 4, space: 70, grid: { show: false }, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((t) => new Date(t * 1000).toISOString().slice(11, 16)) },
        { ...axis, size: 46, gap: 5, space: 32, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((t) => format(t)) },
      ],
      series: [{}, { stroke: line, width: 1.5, fill: `color-mix(in srgb, ${line} 13%, transparent)`, points: { show: false }, spanGaps: false }],
      hooks: { setCursor: [write] },
    }, data(), plot);
  }

  const resized = new ResizeObserver(() => {
    if (plot.clientWidth && drawn?.width !== plot.clientWidth) drawn ? drawn.setSize({ width: plot.clientWidth, height: HEIGHT }) : draw();
  });
  resized.observe(plot);
  dark.addEventListener("change", draw, { signal });
  pulse.follow(() => { drawn?.setData(data()); write(); }, signal);
  signal.addEventListener("abort", () => { resized.disconnect(); drawn?.destroy(); });
  return element;
}
