// @ts-check
/** One WebSocket as two promises: `opened`, and `ended` with the close code (0: it never opened, or we hung up). */
import { PylonError } from "./errors.js";
import { later, nothing } from "./waiting.js";

const OPEN_MS = 10_000;

export class Socket {
  /** @param {string} url @param {string|null} token @param {(socket: Socket, data: string|ArrayBuffer) => void} receive */
  constructor(url, token, receive) {
    /** The highest seq this socket has brought, or that was pulled when it opened. */
    this.seen = 0;
    /** What the server said over this socket. @type {import("./errors.js").Maintenance|null} */
    this.maintenance = null;
    /** Nothing was told before it opened. @type {import("./switches.js").SwitchFrame[]} */
    this.switches = [];
    this.ws = new WebSocket(url, token ? [`bearer.${encodeURIComponent(token)}`] : []);
    this.ws.binaryType = "arraybuffer";
    /** @type {Promise<number>} */
    this.ended = new Promise((resolve) => (this.end = resolve));
    this.opened = new Promise((resolve, reject) => {
      const failed = new PylonError("NETWORK", "The live connection could not be opened.");
      this.ws.onopen = () => resolve(undefined);
      this.ended.then(() => reject(failed));
      later(() => this.ws.readyState === 0 && this.hangUp(), OPEN_MS);
    });
    this.opened.catch(nothing);
    this.ws.onclose = (event) => this.end(event.code);
    this.ws.onmessage = (event) => receive(this, event.data);
  }

  get isOpen() {
    return this.ws.readyState === 1;
  }

  /** @param {any} frame */
  send(frame) {
    if (this.isOpen) this.ws.send(JSON.stringify(frame));
  }

  /** Ends at once: a browser may wait a minute for the closing handshake of a dead connection. @param {number} [code] */
  hangUp(code = 0) {
    this.ws.onmessage = this.ws.onclose = null;
    this.ws.close();
    this.end(code);
  }
}
