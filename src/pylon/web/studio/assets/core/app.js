// @ts-check
// What is known since sign-in: the app, its declared names, and who the operator is.

export const app = { name: "", version: "", dev: false, docs: false, /** @type {string[]} */ entities: [], /** @type {string[]} */ functions: [], /** @type {any} */ operator: null };

/** @param {any} session what `/studio/session` says */
export function remember(session) {
  Object.assign(app, { entities: [], functions: [], ...session.app, version: session.version ?? "", dev: session.dev, operator: session.operator ?? null });
}
