// A WebSocket client for Node 20, which has none: as much of RFC 6455 and of the browser's API as pylon.js uses.
import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export class NodeWebSocket {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;
  #socket = null;
  #pending = Buffer.alloc(0);
  #parts = [];
  #code = 1006;

  constructor(url, protocols = []) {
    const key = randomBytes(16).toString("base64");
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13" };
    if (protocols.length) headers["Sec-WebSocket-Protocol"] = protocols.join(", ");
    this.#request = request(url.replace(/^ws/, "http"), { headers });
    this.#request.on("upgrade", (response, socket, head) => {
      const accepted = createHash("sha1").update(key + GUID).digest("base64") === response.headers["sec-websocket-accept"];
      const protocol = response.headers["sec-websocket-protocol"];
      if (!accepted || (protocol !== undefined && !protocols.includes(protocol))) return socket.destroy() && this.#closed();
      this.#socket = socket;
      this.readyState = 1;
      socket.on("data", (chunk) => this.#read(chunk)).on("close", () => this.#closed()).on("error", () => this.#closed());
      this.onopen?.({});
      this.#read(head);
    });
    this.#request.on("response", (response) => response.resume() && this.#closed()).on("error", () => this.#closed());
    this.#request.end();
  }

  #request;

  #read(chunk) {
    let data = (this.#pending = Buffer.concat([this.#pending, chunk]));
    for (;;) {
      if (data.length < 2) break;
      let length = data[1] & 0x7f;
      let at = 2;
      if (length === 126) [length, at] = data.length < 4 ? [Infinity, 4] : [data.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = data.length < 10 ? [Infinity, 10] : [Number(data.readBigUInt64BE(2)), 10];
      if (data.length < at + length) break;
      this.#frame(data[0] & 0x0f, Boolean(data[0] & 0x80), data.subarray(at, at + length));
      data = data.subarray(at + length);
    }
    this.#pending = Buffer.from(data);
  }

  #frame(opcode, final, payload) {
    if (opcode === 8) {
      this.#code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#send(8, payload.subarray(0, 2));
      this.#socket.end();
    } else if (opcode === 9) this.#send(10, payload);
    else if (opcode <= 2) {
      this.#parts.push(payload);
      if (!final) return;
      const whole = Buffer.concat(this.#parts.splice(0));
      this.onmessage?.({ data: opcode === 2 ? Uint8Array.from(whole).buffer : whole.toString("utf8") });
    }
  }

  #send(opcode, payload) {
    const mask = randomBytes(4);
    const size = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
    this.#socket?.write(Buffer.concat([Buffer.from([0x80 | opcode, ...size]), mask, payload.map((byte, i) => byte ^ mask[i % 4])]));
  }

  send(text) {
    this.#send(1, Buffer.from(text));
  }

  close() {
    this.readyState = 2;
    if (!this.#socket) return this.#request.destroy();
    this.#send(8, Buffer.alloc(0));
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 500).unref();
  }

  #closed() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code: this.#code });
  }
}

globalThis.WebSocket ??= NodeWebSocket;
