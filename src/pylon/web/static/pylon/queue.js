// @ts-check
/**
 * The writes that the server has not confirmed, sent in the order they were made, one batch at a time, each batch until
 * the server has judged it. Every tab knows all of them; the one that leads sends.
 *
 * @typedef {import("./replica.js").Write} Write
 * @typedef {import("./replica.js").Kind} Kind
 * @typedef {{id: string, seq: number}} Written  What a write resolves with, once it is durable on the server.
 * @typedef {Pick<Write, "order"|"op_id"|"entity"|"row_id"|"kind"|"data">} Note  A write as it is kept and passed on.
 */
import { isPassing, PylonError } from "./errors.js";
import { follow, generateId, randomText } from "./ids.js";
import { asked, backoff, nothing } from "./waiting.js";

const BATCH_WRITES = 200; //     writes in one push
const MOST_WRITES = 20_000; //   that may wait; more are refused at once
const REMEMBERED = 2_000;  //     judged writes that another tab or the disk may still mention

export class Queue {
  /** @type {Write[]} */ writes = [];
  sending = false;
  size = BATCH_WRITES;
  wake = nothing;
  /** What became of the last writes. @type {Set<string>} */ judged = new Set();

  /**
   * @param {import("./http.js").Http} http @param {import("./replica.js").Replica} replica @param {string} clientId
   * @param {{prepare: () => Promise<void>, mayPush: () => boolean, keep: (note: Note) => void, drop: (write: Write) => void,
   *   share: (message: any) => void, confirmed: (seq: number) => void, refused: (error: PylonError, write: Write) => void,
   *   trouble: (error: PylonError|null) => void}} hooks
   */
  constructor(http, replica, clientId, hooks) {
    this.http = http;
    this.replica = replica;
    this.clientId = clientId;
    this.hooks = hooks;
  }

  /** @param {Kind} kind @param {string} entity @param {string} id @param {Record<string, any>} [data] @returns {Promise<Written>} */
  write(kind, entity, id, data) {
    if (this.writes.length >= MOST_WRITES) {
      return Promise.reject(new PylonError("QUEUE_FULL", `${MOST_WRITES} writes wait for the server already.`, { hint: "Write again when the connection is back." }));
    }
    return new Promise((done, fail) => {
      const wire = data && JSON.parse(JSON.stringify(data)); // what the server will see, and nothing that can't be kept
      const note = { order: generateId(), op_id: `mut_${Date.now()}_${randomText()}`, entity, row_id: id, kind, data: wire };
      this.take(note, done, fail);
      this.hooks.keep(note);
      this.hooks.share({ type: "write", note });
      queueMicrotask(() => this.drain()); // writes made in one turn travel together
    });
  }

  /** Takes in a write: ours, another tab's, or one that the disk has kept. Known ones are brought up to date.
   * @param {Note} note @param {(written: Written) => void} [done] @param {(error: Error) => void} [fail] */
  take(note, done = nothing, fail = nothing) {
    if (this.judged.has(note.op_id)) return;
    const known = this.writes.find(({ op_id }) => op_id === note.op_id);
    if (known) {
      known.data = note.data;
      return this.replica.refresh(known.entity, known.row_id);
    }
    follow(note.order);
    const write = { ...note, seq: Infinity, sent: false, done, fail };
    const at = this.writes.findLastIndex(({ order }) => order < note.order);
    this.writes.splice(at + 1, 0, write);
    this.replica.add(write);
  }

  async drain() {
    if (this.sending || !this.writes.length) return;
    this.sending = true;
    for (let failures = 0; this.writes.length; ) {
      /** @type {Write[]} */
      let batch = [];
      try {
        await this.hooks.prepare();
        if (!this.hooks.mayPush()) break;
        batch = this.writes.slice(0, this.size);
        for (const write of batch) write.sent = true;
        const changes = batch.map(({ op_id, entity, row_id, kind, data }) => ({ op_id, entity, row_id, kind, data }));
        const { results = [] } = await this.http.json("POST", "/api/sync/push", { changes, client_id: this.clientId });
        batch.forEach((write, i) => this.settle(write, results[i]));
        this.hooks.share({ type: "settled", results: batch.map(({ op_id }, i) => ({ op_id, result: results[i] })) });
        this.hooks.confirmed(Math.max(...results.map((/** @type {any} */ { seq }) => seq ?? 0)));
        this.hooks.trouble(null);
        this.size = BATCH_WRITES;
        failures = 0;
      } catch (raised) {
        const error = /** @type {PylonError} */ (raised);
        failures += 1;
        if (!batch.length || isPassing(error) || (error.status >= 500 && failures < 5)) {
          this.hooks.trouble(error);
          // The answer may be what got lost: the same op_ids go out again, and the server knows them.
          await this.pause(Math.max(backoff(failures), asked(error.retryAfter)));
        } else if (error.status === 413 && batch.length > 1) this.size = Math.ceil(batch.length / 2);
        else if (batch.length > 1 && error.status >= 500) this.size = 1; // find the one that it chokes on
        else {
          const { code, message, hint } = error;
          batch.forEach((write) => this.refuse(write, error));
          this.hooks.share({ type: "settled", results: batch.map(({ op_id }) => ({ op_id, result: { status: "error", error: { code, message, hint } } })) });
        }
      }
    }
    this.sending = false;
  }

  /** Another tab's push was answered. @param {{op_id: string, result: any}[]} results */
  hear(results) {
    for (const { op_id, result } of results) {
      const write = this.writes.find((one) => one.op_id === op_id);
      if (write) this.settle(write, result);
      else this.remember(op_id);
    }
    this.hooks.confirmed(Math.max(0, ...results.map(({ result }) => result?.seq ?? 0)));
  }

  /** @param {Write} write @param {any} result */
  settle(write, result) {
    if (!this.writes.includes(write)) return; // abandoned meanwhile
    if (!result || result.status === "error") {
      const { code = "INVALID_ANSWER", message = "The server did not say what became of this write.", hint } = result?.error ?? {};
      return this.refuse(write, new PylonError(code, message, { hint, status: 200 }));
    }
    this.remove(write);
    const seq = result.seq ?? 0;
    this.replica.confirm(write, seq);
    write.done({ id: result.row_id ?? write.row_id, seq });
  }

  /** @param {Write} write @param {PylonError} error */
  refuse(write, error) {
    if (!this.writes.includes(write)) return;
    this.remove(write);
    this.replica.forget(write);
    write.fail(error);
    this.hooks.refused(error, write);
  }

  /** @param {Write} write */
  remove(write) {
    this.writes.splice(this.writes.indexOf(write), 1);
    this.hooks.drop(write);
    this.remember(write.op_id);
  }

  /** @param {string} opId */
  remember(opId) {
    this.judged.add(opId);
    if (this.judged.size > REMEMBERED) this.judged.delete(/** @type {string} */ (this.judged.values().next().value));
  }

  /** Sets other values than a write did, in the write itself where we know that nobody has sent it. @param {Write} write @param {Record<string, any>} patch */
  amend(write, patch) {
    if (write.sent || !this.hooks.mayPush() || !this.writes.includes(write)) return void this.write("update", write.entity, write.row_id, patch).catch(nothing);
    write.data = { ...write.data, ...JSON.parse(JSON.stringify(patch)) };
    const { order, op_id, entity, row_id, kind, data } = write;
    const note = { order, op_id, entity, row_id, kind, data };
    this.hooks.keep(note);
    this.hooks.share({ type: "write", note });
    this.replica.refresh(entity, row_id);
  }

  /** Gives up everything that is not confirmed, here; what the disk has kept stays there. @param {PylonError} error */
  abandon(error) {
    for (const write of this.writes.splice(0)) {
      this.replica.forget(write);
      write.fail(error);
    }
    this.wake();
  }

  /** @param {number} ms */
  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => (clearTimeout(timer), resolve(undefined));
    });
  }
}
