// @ts-check
/** IndexedDB with promises: as much as the disk needs. */

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
export const resultOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Resolves when it is committed. @param {IDBTransaction} transaction @returns {Promise<void>} */
export const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
    transaction.onerror = (event) => event.preventDefault(); // it aborts, and says so once
  });

/** @param {string} name @param {number} version @param {(database: IDBDatabase) => void} make @returns {Promise<IDBDatabase>} */
export function openDatabase(name, version, make) {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => make(request.result);
  return resultOf(request);
}

/** @param {string} name @returns {Promise<void>} */
export const deleteDatabase = (name) =>
  new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = request.onerror = request.onblocked = () => resolve();
  });
