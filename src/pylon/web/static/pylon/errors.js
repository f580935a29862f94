// @ts-check
/**
 * Failures: what the server answers instead of a value, as one class with a stable code.
 * @typedef {{scope: string, reason: string, until: Date|null}} Maintenance  What is switched off, why, and until when if that is known.
 */

/** Every failure: a stable `code` (see `pylon explain CODE`), a message, and sometimes a hint of what to do. */
export class PylonError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{hint?: string, status?: number, retryAfter?: number, maintenance?: Maintenance|null, cause?: unknown}} [more]
   */
  constructor(code, message, { hint, status = 0, retryAfter = 0, maintenance = null, cause } = {}) {
    super(message, { cause });
    this.name = "PylonError";
    this.code = code;
    this.hint = hint;
    /** HTTP status, 0 when there was no answer. */
    this.status = status;
    /** Seconds the server asked us to wait, 0 if it did not. */
    this.retryAfter = retryAfter;
    /** What is switched off, where the code is MAINTENANCE; else null. */
    this.maintenance = maintenance;
  }
}

/** @param {unknown} cause */
export const networkError = (cause) =>
  new PylonError("NETWORK", "The server could not be reached.", { cause, hint: "The request may or may not have been carried out." });

/** @param {Response} response */
export async function errorOf(response) {
  const { error } = await response.json().catch(() => ({}));
  const wait = response.headers.get("Retry-After") ?? error?.retry_after_secs ?? 0;
  const seconds = Number.isNaN(Number(wait)) ? (Date.parse(wait) - Date.now()) / 1000 || 0 : Number(wait);
  const code = error?.code ?? `HTTP_${response.status}`;
  return new PylonError(code, error?.message ?? `The server answered ${response.status}.`, {
    hint: error?.hint,
    status: response.status,
    retryAfter: Math.max(0, seconds),
    maintenance: code === "MAINTENANCE" ? maintenanceOf(error.reason ?? error.message, error) : null,
  });
}

/** @param {string} reason @param {{scope?: string, until?: number|null}} said @returns {Maintenance} */
export const maintenanceOf = (reason, { scope = "server", until }) => ({ scope, reason, until: until ? new Date(until * 1_000) : null });

/** Does the server take us for somebody else? Then it has done nothing. @param {PylonError} error */
const isMistaken = ({ status, code }) => status === 401 && (code === "SESSION_EXPIRED" || code === "SESSION_CHANGED");

/** Worth repeating the same request? After these the server has not judged it. @param {PylonError} error */
export const isPassing = (error) => error.status === 0 || [408, 429, 502, 503, 504, 507].includes(error.status) || isMistaken(error);
