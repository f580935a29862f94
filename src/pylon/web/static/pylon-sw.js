// A service worker that lets a page open without a connection: it keeps what the page is made of (never what /api/
// answers) as last seen, and serves it when the server does not. Register it with
// `navigator.serviceWorker?.register("/pylon-sw.js")`; the rows and the unsent writes are kept by pylon.js itself.
const CACHE = "pylon-page-1";
const KEEP = [".html", ".js", ".mjs", ".css", ".svg", ".png", ".wasm", ".woff2", ".json", ".webmanifest"];
const PATIENCE_MS = 4_000; // a server that takes longer is as good as none

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const isPart = request.mode === "navigate" || KEEP.some((ending) => url.pathname.endsWith(ending));
  const isOurs = url.origin === self.location.origin && !["/api/", "/_pylon/", "/studio"].some((path) => url.pathname.startsWith(path));
  if (request.method === "GET" && isOurs && isPart) event.respondWith(answer(request, url));
});

async function answer(request, url) {
  const cache = await caches.open(CACHE);
  const key = request.mode === "navigate" ? url.pathname : request.url; // ?query and #hash choose nothing on the server
  try {
    const fresh = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (fresh.ok) await cache.put(key, fresh.clone());
    return fresh.status >= 500 ? ((await cache.match(key)) ?? fresh) : fresh;
  } catch (error) {
    const kept = await cache.match(key);
    if (kept) return kept;
    throw error;
  }
}
