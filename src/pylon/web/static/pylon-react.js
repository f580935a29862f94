// @ts-check
/**
 * pylon-react.js: hooks over pylon.js. React comes from you, so one copy of it is enough and no build is needed.
 *
 *   import * as React from "react"; // an import map says where that is
 *   import { connect } from "/pylon.js";
 *   import { createHooks } from "/pylon-react.js";
 *   export const { useQuery, useMutation } = createHooks(React, connect());
 *
 * Components that ask for the same share one view; it is closed a moment after the last of them is gone.
 */

const LINGER_MS = 1_000; //  a view outlives its last component so long: React may render it again at once
const NO_SWITCHES = Object.freeze([]);
const IDLE = Object.freeze({ data: undefined, loading: false, error: null });

let lastFunction = 0;
/** @type {WeakMap<Function, string>} */
const functions = new WeakMap();

/** A text that is the same for the same arguments; functions are the same if they are identical. @param {any} value */
const keyOf = (value) =>
  JSON.stringify(value, (_, part) => {
    if (typeof part !== "function") return part;
    if (!functions.has(part)) functions.set(part, `function ${(lastFunction += 1)}`);
    return functions.get(part);
  });

/** @param {any} order @returns {Record<string, "asc"|"desc">} */
const orderBody = (order) => Object.fromEntries([order].flat().map((name) => (name.startsWith("-") ? [name.slice(1), "desc"] : [name, "asc"])));

/**
 * @param {any} React anything with `useSyncExternalStore`, `useState`, `useEffect`, `useCallback`, `useMemo` and `useRef`
 * @param {import("./pylon.js").Database} db
 */
export function createHooks(React, db) {
  const { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } = React;
  /** What components look at, by what they asked for. @type {Map<string, any>} */
  const views = new Map();

  /** @param {string} key @param {() => any} open @param {(source: any) => any} read */
  function viewOf(key, open, read) {
    let view = views.get(key);
    if (view) return view;
    const source = open();
    const listeners = new Set();
    view = { source, snapshot: read(source), users: 0 };
    const stop = source.subscribe(() => {
      if (!view.snapshot) return; // told while it was being made
      view.snapshot = read(source);
      for (const listener of [...listeners]) listener();
    });
    const expire = () => {
      if (view.users || views.get(key) !== view) return;
      views.delete(key);
      stop();
      (source.close ?? source.leave).call(source);
    };
    view.subscribe = (/** @type {() => void} */ listener) => {
      listeners.add(listener);
      view.users += 1;
      view.snapshot = read(source); // it may have changed between rendering and this
      return () => {
        listeners.delete(listener);
        view.users -= 1;
        setTimeout(expire, LINGER_MS);
      };
    };
    setTimeout(expire, LINGER_MS * 5); // rendered and never mounted
    views.set(key, view);
    return view;
  }

  const never = () => () => {};

  /** @param {any[]|null} what null: nothing yet @param {() => any} open @param {(source: any) => any} read */
  function useView(what, open, read) {
    const key = what && keyOf(what);
    const view = key && viewOf(key, open, read);
    const subscribe = useCallback((/** @type {() => void} */ listener) => (key ? viewOf(key, open, read).subscribe(listener) : never()), [key]);
    const snapshot = useSyncExternalStore(subscribe, () => (key ? viewOf(key, open, read).snapshot : IDLE), () => (view ? view.snapshot : IDLE));
    return { snapshot, source: view?.source };
  }

  /** Keeps the object a view gave last while it says the same: React compares by identity. @param {(source: any) => Record<string, any>} read */
  function steady(read) {
    const last = new WeakMap();
    return (/** @type {any} */ source) => {
      const [now, before] = [read(source), last.get(source)];
      if (before && Object.keys(now).every((name) => now[name] === before[name])) return before;
      last.set(source, now);
      return now;
    };
  }

  const readLive = steady(({ rows, loading }) => ({ data: rows, loading, error: null }));
  const readFn = steady(({ value, loading, error }) => ({ data: value, loading, error }));
  const readRoom = steady(({ members, joined, error }) => ({ members, joined, error }));
  const readText = steady(({ value, loading, error }) => ({ value, loading, error }));

  /** Rows that stay current: `{ data, loading }`. @param {string|null} entity null: not yet @param {any} [options] as of `db.live` */
  function useQuery(entity, options = {}) {
    return useView(entity === null ? null : ["live", entity, options], () => db.live(/** @type {string} */ (entity), options), readLive).snapshot;
  }

  /** One row that stays current, by its id or as the first that matches: `{ data, loading }`. @param {string} entity @param {any} which an id, options as of `db.live`, or null: not yet */
  function useOne(entity, which) {
    const options = typeof which === "string" ? { where: { id: which } } : which;
    const { data, loading } = useQuery(which === null || which === undefined ? null : entity, { ...options, limit: 1 });
    return { data: data?.[0], loading, error: null };
  }

  /** The result of a query function, pushed when it changes: `{ data, loading, error }`. @param {string|null} name null: not yet @param {any} [args] */
  function useFn(name, args = {}) {
    return useView(name === null ? null : ["fn", name, args], () => db.liveFn(/** @type {string} */ (name), args), readFn).snapshot;
  }

  /** Calls a function of the app: `{ mutate, data, loading, error, reset }`. `mutate` rejects as `db.call` does. @param {string} name */
  function useMutation(name) {
    const [state, setState] = useState(IDLE);
    const turn = useRef(0);
    const mutate = useCallback(
      async (/** @type {any} */ args = {}) => {
        const mine = (turn.current += 1);
        const settle = (/** @type {any} */ now) => mine === turn.current && setState(now);
        settle({ data: undefined, loading: true, error: null });
        try {
          const data = await db.call(name, args);
          settle({ data, loading: false, error: null });
          return data;
        } catch (error) {
          settle({ data: undefined, loading: false, error });
          throw error;
        }
      },
      [name],
    );
    const reset = useCallback(() => ((turn.current += 1), setState(IDLE)), []);
    return { ...state, mutate, reset };
  }

  /** Writes to an entity, shown at once: `{ insert, update, remove, pending, error }`. @param {string} entity */
  function useWrites(entity) {
    const [state, setState] = useState({ pending: 0, error: null });
    const track = useCallback((/** @type {Promise<any>} */ written) => {
      setState((/** @type {any} */ now) => ({ pending: now.pending + 1, error: null }));
      const settle = (/** @type {any} */ error) => setState((/** @type {any} */ now) => ({ pending: now.pending - 1, error: error ?? now.error }));
      written.then(() => settle(null), settle);
      return written;
    }, []);
    const write = useMemo(
      () => ({
        insert: (/** @type {any} */ data) => track(db.insert(entity, data)),
        update: (/** @type {string} */ id, /** @type {any} */ patch) => track(db.update(entity, id, patch)),
        remove: (/** @type {string} */ id) => track(db.delete(entity, id)),
      }),
      [entity],
    );
    return { ...write, ...state };
  }

  /** Who is in a room, and how to tell them something: `{ members, joined, error, set, broadcast, send, on }`. @param {string|null} name null: not yet @param {{data?: any}} [options] */
  function useRoom(name, { data } = {}) {
    const { snapshot, source } = useView(name === null ? null : ["room", name], () => db.room(/** @type {string} */ (name), { data }), readRoom);
    const shown = keyOf(data);
    const first = useRef(shown);
    useEffect(() => {
      if (source && shown !== first.current) source.set(data);
      first.current = shown;
    }, [source, shown]);
    const act = useMemo(
      () => ({
        set: (/** @type {any} */ value) => source?.set(value),
        broadcast: (/** @type {string} */ topic, /** @type {any} */ value) => source?.broadcast(topic, value) ?? Promise.resolve(false),
        send: (/** @type {string} */ topic, /** @type {any} */ value) => source?.send(topic, value),
        on: (/** @type {string} */ topic, /** @type {any} */ fn) => source?.on(topic, fn) ?? (() => {}),
      }),
      [source],
    );
    return { members: snapshot.members ?? [], joined: snapshot.joined ?? false, error: snapshot.error, ...act };
  }

  /** A text that several people edit at once: `{ value, setValue, loading, error, ref }`; give `ref` to an uncontrolled `<textarea>`. @param {string} entity @param {string|null} id null: not yet @param {string} field */
  function useCollabText(entity, id, field) {
    const { snapshot, source } = useView(id === null ? null : ["text", entity, id, field], () => db.text(entity, /** @type {string} */ (id), field), readText);
    const unbind = useRef(/** @type {(() => void)|null} */ (null));
    const ref = useCallback(
      (/** @type {HTMLTextAreaElement|null} */ element) => {
        unbind.current?.();
        unbind.current = element && source ? source.bind(element) : null;
      },
      [source],
    );
    const setValue = useCallback((/** @type {string} */ value) => source?.set(value), [source]);
    return { value: snapshot.value ?? "", loading: source ? snapshot.loading : true, error: snapshot.error ?? null, setValue, ref };
  }

  /** @param {string} entity @param {any} options @param {number} offset @param {number} limit */
  const ask = (entity, { where = {}, order }, offset, limit) => db.query(entity, { ...where, $limit: limit, $offset: offset, ...(order && { $order: orderBody(order) }) });

  /** Rows asked from the server, page after page; they need not be in the replica, and do not change by themselves:
   * `{ data, loading, error, hasMore, loadMore, reload }`. @param {string} entity @param {any} [options] `where`, `order`, `limit` (20) rows a page */
  function useInfiniteQuery(entity, options = {}) {
    const { limit = 20 } = options;
    const key = keyOf([entity, options]);
    const [state, setState] = useState({ key, data: [], loading: true, error: null, hasMore: false });
    const turn = useRef(0);
    const load = useCallback(
      async (/** @type {any[]} */ before) => {
        const mine = (turn.current += 1);
        setState({ key, data: before, loading: true, error: null, hasMore: false });
        const [rows, error] = await ask(entity, options, before.length, limit).then((found) => [found, null], (raised) => [[], raised]);
        if (mine === turn.current) setState({ key, data: [...before, ...rows], loading: false, error, hasMore: rows.length === limit });
      },
      [key],
    );
    useEffect(() => void load([]), [load]);
    useEffect(() => db.onSession(() => void load([])), [load]); // what the former caller was shown is not for the next
    const current = state.key === key ? state : { key, data: [], loading: true, error: null, hasMore: false };
    const { data, loading, error, hasMore } = current;
    return { data, loading, error, hasMore, loadMore: () => (loading || !hasMore ? Promise.resolve() : load(data)), reload: () => load([]) };
  }

  /** One page of rows, asked from the server: `{ data, page, loading, error, hasNext, setPage, next, previous, reload }`. @param {string} entity @param {any} [options] `where`, `order`, `pageSize` (20) */
  function usePaginatedQuery(entity, options = {}) {
    const { pageSize = 20 } = options;
    const key = keyOf([entity, options]);
    const [page, setPage] = useState(0);
    const [state, setState] = useState({ data: [], loading: true, error: null, hasNext: false });
    const turn = useRef(0);
    const load = useCallback(async () => {
      const mine = (turn.current += 1);
      setState((/** @type {any} */ now) => ({ ...now, loading: true }));
      const [rows, error] = await ask(entity, options, page * pageSize, pageSize + 1).then((found) => [found, null], (raised) => [[], raised]);
      if (mine === turn.current) setState({ data: rows.slice(0, pageSize), loading: false, error, hasNext: rows.length > pageSize });
    }, [key, page]);
    useEffect(() => void load(), [load]);
    useEffect(
      () =>
        db.onSession(() => {
          setState({ data: [], loading: true, error: null, hasNext: false });
          setPage(0);
          load();
        }),
      [load],
    );
    useEffect(() => setPage(0), [key]);
    return { ...state, page, setPage, next: () => state.hasNext && setPage(page + 1), previous: () => page > 0 && setPage(page - 1), reload: load };
  }

  /** How the connection stands. */
  function useStatus() {
    return useSyncExternalStore(useCallback((/** @type {any} */ fn) => db.onStatus(fn), []), () => db.status, () => "connecting");
  }

  /** The parts of the server that are switched off, as of `db.switches`. */
  function useSwitches() {
    return useSyncExternalStore(useCallback((/** @type {any} */ fn) => db.onSwitch(fn), []), () => db.switches, () => NO_SWITCHES);
  }

  /** The switch on one of them, null while it works: `useSwitch("function", "publish")`. @param {import("./pylon/switches.js").SwitchScope} scope @param {string} [target] */
  function useSwitch(scope, target = "") {
    useSwitches();
    return db.switchOn(scope, target);
  }

  /** Who is calling, null before it is known. */
  function useSession() {
    const [session, setSession] = useState(db.user);
    useEffect(() => {
      if (!db.user) db.me().then(setSession, () => {});
      else setSession(db.user);
      return db.onSession(setSession);
    }, []);
    return session;
  }

  return { useQuery, useOne, useFn, useMutation, useWrites, useRoom, useCollabText, useInfiniteQuery, usePaginatedQuery, useStatus, useSwitches, useSwitch, useSession };
}
