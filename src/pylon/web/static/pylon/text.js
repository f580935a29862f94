// @ts-check
/** One text field that several people edit at once, and its bond with a `<textarea>`. */
import { listen, tellAll } from "./listeners.js";

/** Made by `db.text()`. */
export class CollabText {
  /** The text now, empty while it is loading. */ value = "";
  #document;
  #documents;
  #field;
  #listeners = new Set();
  /** @type {Set<{before: () => void, after: () => void}>} */ #bonds = new Set();
  #stop;

  /** @param {import("./documents.js").Documents} documents @param {string} entity @param {string} id @param {string} field */
  constructor(documents, entity, id, field) {
    this.#documents = documents;
    this.#document = documents.acquire(entity, id);
    this.#field = field;
    const listener = {
      before: () => this.#bonds.forEach(({ before }) => before()),
      after: () => {
        this.value = this.#text()?.toString() ?? "";
        this.#bonds.forEach(({ after }) => after());
        tellAll(this.#listeners, this);
      },
    };
    this.#document.listeners.add(listener);
    this.#stop = () => this.#document.listeners.delete(listener);
    this.value = this.#text()?.toString() ?? "";
  }

  /** The field's own container; where the server has made none, the root text of its name, which it keeps equal. */
  #text() {
    const { doc } = this.#document;
    if (!doc) return null;
    const own = doc.getMap("row").get(this.#field);
    return own?.kind?.() === "Text" ? own : doc.getText(this.#field);
  }

  /** True until there is a text, from this browser or the server. */
  get loading() {
    return !this.#document.isReady;
  }

  /** Whether the server has all of it; false while edits wait to be sent. */
  get saved() {
    return this.#document.isSaved;
  }

  /** Why the last edits were refused, or nothing could be loaded; else null. */
  get error() {
    return this.#document.error;
  }

  /** Resolves with the text once it is there. @returns {Promise<string>} */
  get ready() {
    return new Promise((resolve) => {
      const stop = this.subscribe(() => {
        if (this.loading) return;
        queueMicrotask(() => stop());
        resolve(this.value);
      });
    });
  }

  /** Calls `fn` with this at once and after each change, ours included. @param {(text: CollabText) => void} fn @returns {() => void} stop */
  subscribe(fn) {
    const stop = listen(this.#listeners, fn);
    fn(this);
    return stop;
  }

  /** Replaces `gone` UTF-16 units at `at` with a text. @param {number} at @param {number} gone @param {string} come */
  splice(at, gone, come) {
    const text = this.#text();
    if (!text || (!gone && !come)) return;
    this.#document.edit(() => {
      if (gone) text.delete(at, gone);
      if (come) text.insert(at, come);
    });
    this.value = text.toString();
    this.#bonds.forEach(({ after }) => after());
    tellAll(this.#listeners, this);
  }

  /** Makes it this text, editing only what differs. @param {string} wanted */
  set(wanted) {
    if (!this.loading) this.splice(...difference(this.value, wanted));
  }

  /**
   * Ties it to a `<textarea>` or a text `<input>`. What is typed goes into the text, what others write appears where it
   * belongs: caret, selection and scroll position stay with the words they are at, and nothing moves while a character is
   * being composed. The element is read-only until the text is there.
   * @param {HTMLTextAreaElement|HTMLInputElement} element @returns {() => void} unties them
   */
  bind(element) {
    const wasReadOnly = element.readOnly;
    /** @type {any[]} */ let caret = [];
    /** @type {(() => void)|null} */ let letGo = null;
    const typed = () => letGo || this.loading || this.splice(...difference(this.value, element.value, element.selectionEnd ?? undefined));
    const bond = {
      before: () => {
        const text = this.#text();
        const { selectionStart, selectionEnd } = element;
        caret = [selectionStart, selectionEnd].map((at, i) => text?.getCursor(at ?? 0, selectionStart === selectionEnd || i ? -1 : 1));
      },
      after: () => {
        element.readOnly = wasReadOnly || this.loading;
        if (element.value === this.value) return;
        const isFocused = element.ownerDocument.activeElement === element;
        const { scrollTop, selectionDirection } = element;
        const { doc } = this.#document;
        const [start, end] = caret.map((cursor) => placeOf(doc, cursor) ?? this.value.length);
        element.value = this.value;
        if (isFocused || caret.length) element.setSelectionRange(start ?? this.value.length, end ?? this.value.length, selectionDirection ?? undefined);
        element.scrollTop = scrollTop;
      },
    };
    const compose = () => (letGo ??= this.#document.hold());
    const composed = () => {
      const release = letGo;
      letGo = null;
      typed();
      release?.();
    };
    element.addEventListener("input", typed);
    element.addEventListener("compositionstart", compose);
    element.addEventListener("compositionend", composed);
    this.#bonds.add(bond);
    bond.after();
    return () => {
      composed();
      this.#bonds.delete(bond);
      element.removeEventListener("input", typed);
      element.removeEventListener("compositionstart", compose);
      element.removeEventListener("compositionend", composed);
    };
  }

  /** Stops following it. */
  close() {
    this.#stop();
    this.#bonds.clear();
    this.#listeners.clear();
    this.#documents.release(this.#document);
  }
}

/** Where a cursor is now, undefined in a document that does not know it. @param {any} doc @param {any} cursor @returns {number|undefined} */
function placeOf(doc, cursor) {
  try {
    return cursor && doc?.getCursorPos(cursor)?.offset;
  } catch {
    return undefined;
  }
}

/**
 * What to replace to make one text the other: where, how many UTF-16 units, by what. In "aaa" typed between equal letters,
 * the caret behind the new one tells which is new.
 * @param {string} old @param {string} now @param {number} [caret] @returns {[number, number, string]}
 */
export function difference(old, now, caret = now.length) {
  let tail = 0;
  const longestTail = Math.min(old.length, now.length, Math.max(0, now.length - caret));
  while (tail < longestTail && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
  let head = 0;
  const longestHead = Math.min(old.length, now.length) - tail;
  while (head < longestHead && old[head] === now[head]) head += 1;
  while (tail < Math.min(old.length, now.length) - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
  if (isInsidePair(old, head) || isInsidePair(now, head)) head -= 1;
  if (isInsidePair(old, old.length - tail) || isInsidePair(now, now.length - tail)) tail -= 1;
  return [head, old.length - head - tail, now.slice(head, now.length - tail)];
}

/** @param {string} text @param {number} at */
const isInsidePair = (text, at) => at > 0 && at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
