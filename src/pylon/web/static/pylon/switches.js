// @ts-check
/**
 * What an operator has switched off, as the server tells it. Each connection is told all that concerns it when it opens;
 * until the next one has said how it is, the last word of the one before stands. What ends by itself does so here, too.
 *
 * @typedef {"entity"|"function"|"auth"|"uploads"|"user"|"ip"|"anonymous"} SwitchScope
 * @typedef {{scope: SwitchScope, target: string, blocks: "all"|"writes", reason: string, until: Date|null}} Switch
 * @typedef {{on: boolean, scope: SwitchScope, target: string, blocks?: "all"|"writes", reason?: string, until?: number|null}} SwitchFrame
 */
import { later } from "./waiting.js";

const MOST_MS = 2 ** 31 - 1; // a timer's longest time

export class Switches {
  /** What is off. @type {Switch[]} */ current = [];
  /** What the connection has told so far, by what it is about. @type {Map<string, SwitchFrame>} */ #told = new Map();
  /** @type {any} */ #timer;

  /** @param {(switches: Switch[]) => void} changed */
  constructor(changed) {
    this.changed = changed;
  }

  /** What the connection has told, for a tab that comes later. */
  get frames() {
    return [...this.#told.values()];
  }

  /** A new connection, or somebody else on it: what it tells from now on is all there is. */
  begin() {
    this.#told = new Map();
  }

  /** @param {SwitchFrame} frame */
  note(frame) {
    const key = `${frame.scope} ${frame.target}`;
    this.#told.delete(key);
    if (frame.on) this.#told.set(key, frame);
  }

  /** Shows what was told. */
  show() {
    clearTimeout(this.#timer);
    const now = Date.now();
    for (const [key, { until }] of this.#told) if (until && until * 1_000 <= now) this.#told.delete(key);
    const ends = this.frames.flatMap(({ until }) => (until ? [until * 1_000 - now] : []));
    if (ends.length) this.#timer = later(() => this.show(), Math.min(MOST_MS, ...ends));
    const shown = this.frames.map(switchOf);
    if (JSON.stringify(shown) === JSON.stringify(this.current)) return;
    this.current = shown;
    this.changed(shown);
  }

  close() {
    clearTimeout(this.#timer);
  }
}

/** @param {SwitchFrame} frame @returns {Switch} */
const switchOf = ({ scope, target, blocks = "all", reason = "", until }) => ({ scope, target, blocks, reason, until: until ? new Date(until * 1_000) : null });
