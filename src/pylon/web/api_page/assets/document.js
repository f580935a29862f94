// @ts-check
// Reading the OpenAPI document: what there is in it, in the order in which a reader looks for it.

/**
 * @typedef {Record<string, any>} Schema
 * @typedef {{id: string, method: string, path: string, tag: string, summary: string, description: string, who: "anybody"|"signed-in"|"admin",
 *   kind: ""|"query"|"mutation"|"action", callers: string, parameters: any[], body: {required: boolean, content: Record<string, {schema?: Schema}>}|null, answers: Answer[]}} Operation
 * @typedef {{status: string, told: string, codes: {code: string, told: string}[], content: Record<string, {schema?: Schema}>, headers: string[]}} Answer
 * @typedef {{name: string, operations: Operation[]}} Group
 */

const REFERENCE = /^#\/components\/(\w+)\/(.+)$/;
const CODE = /^\* `(\w+)`: (.*)$/;
const CALLERS = /** @type {Record<string, string>} */ ({ public: "anybody", guest: "guests and users", user: "signed-in users", admin: "admins" });

export class ApiDocument {
  /** @param {any} json */
  constructor(json) {
    this.json = json;
    this.title = json.info.title;
    this.version = json.info.version;
    /** @type {Operation[]} */
    this.operations = Object.entries(json.paths).flatMap(([path, methods]) =>
      Object.entries(/** @type {Record<string, any>} */ (methods)).map(([method, told]) => this.#operation(method, path, told)));
    /** @type {string[]} */
    this.entities = json.tags.map((/** @type {any} */ tag) => tag.name).filter((/** @type {string} */ name) => this.schema(`${name}Insert`));
    this.functions = this.operations.filter((one) => one.kind);
    const others = new Map();
    for (const one of this.operations) {
      if (one.kind || this.entities.includes(one.tag)) continue;
      others.set(one.tag, [...(others.get(one.tag) ?? []), one]);
    }
    /** @type {Group[]} */
    this.groups = [...others].map(([name, operations]) => ({ name, operations })).sort((a, b) => a.name.localeCompare(b.name));
    /** @type {string[]} */
    this.schemas = Object.keys(json.components.schemas);
  }

  /** @param {string} name @returns {Schema|undefined} */
  schema(name) {
    const all = this.json.components.schemas;
    return Object.hasOwn(all, name) ? all[name] : undefined;
  }

  /** @param {string} entity */
  of(entity) {
    return this.operations.filter((one) => one.tag === entity && !one.kind);
  }

  /** What a reference stands for; anything else as it is. @param {any} value @returns {any} */
  resolve(value) {
    for (let deep = 0; value?.$ref && deep < 20; deep++) {
      const [, kind, name] = REFERENCE.exec(value.$ref) ?? [];
      value = kind ? this.json.components[kind]?.[name] : undefined;
    }
    return value ?? {};
  }

  /** Every code that any call refuses with, with what it says and who says it. */
  errors() {
    /** @type {Map<string, {code: string, told: string, statuses: Set<string>, count: number}>} */
    const found = new Map();
    for (const { answers } of this.operations) for (const { status, codes } of answers) for (const { code, told } of codes) {
      const one = found.get(code) ?? { code, told, statuses: new Set(), count: 0 };
      one.statuses.add(status);
      one.count += 1;
      found.set(code, one);
    }
    return [...found.values()].sort((a, b) => a.code.localeCompare(b.code));
  }

  /** @param {string} method @param {string} path @param {any} told @returns {Operation} */
  #operation(method, path, told) {
    const marked = told["x-pylon-function"];
    const ways = (told.security ?? []).map((/** @type {object} */ way) => Object.keys(way)[0] ?? "");
    const who = ways.length === 0 || ways.includes("") ? "anybody" : ways.length === 1 ? "admin" : "signed-in";
    return {
      id: told.operationId, method: method.toUpperCase(), path, tag: told.tags?.[0] ?? "", summary: told.summary ?? "",
      description: told.description ?? "", who, kind: marked?.kind ?? "", callers: marked ? CALLERS[marked.auth] ?? marked.auth : "",
      parameters: (told.parameters ?? []).map((/** @type {any} */ one) => this.resolve(one)),
      body: told.requestBody ? { required: told.requestBody.required === true, content: told.requestBody.content } : null,
      answers: Object.entries(told.responses ?? {}).map(([status, answer]) => this.#answer(status, this.resolve(answer))),
    };
  }

  /** @param {string} status @param {any} answer @returns {Answer} */
  #answer(status, answer) {
    const lines = (answer.description ?? "").split("\n").map((/** @type {string} */ line) => CODE.exec(line));
    const codes = lines.every(Boolean) ? lines.map((/** @type {RegExpExecArray} */ [, code, told]) => ({ code, told })) : [];
    return { status, told: codes.length ? "" : answer.description ?? "", codes, content: answer.content ?? {}, headers: Object.keys(answer.headers ?? {}) };
  }
}
