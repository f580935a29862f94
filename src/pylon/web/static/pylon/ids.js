// @ts-check
/** Ids made here: of rows, of writes, of tabs. */

let lastNanos = 0n;

/** A row id as the server makes them: 40 hex digits whose text order is creation order. @returns {string} */
export function generateId() {
  const [jitter, tail] = crypto.getRandomValues(new Uint32Array(2));
  const now = BigInt(Date.now()) * 1_000_000n + BigInt(jitter % 1_000_000);
  lastNanos = now > lastNanos ? now : lastNanos + 1n;
  return lastNanos.toString(16).padStart(32, "0") + tail.toString(16).padStart(8, "0");
}

/** Makes every later id sort behind this one, though the clock was set back since it was made. @param {string} id */
export function follow(id) {
  const nanos = BigInt(`0x${id.slice(0, 32)}`);
  if (nanos > lastNanos) lastNanos = nanos;
}

/** Eight letters and digits. */
export const randomText = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => (byte % 36).toString(36)).join("");

/** Names a secret without telling it: two tabs compare it, nobody is kept out by it. @param {string} text */
export function fingerprint(text) {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i += 1) {
    a = Math.imul(a ^ text.charCodeAt(i), 2654435761);
    b = Math.imul(b ^ text.charCodeAt(i), 1597334677);
  }
  return ((a >>> 0).toString(16) + (b >>> 0).toString(16)).padStart(16, "0");
}
