// Types of pylon.js, for TypeScript. What each member does is documented there and in docs/reference/pylon-js.md.

/** What `pylon codegen client` writes about an app; without it everything is open. */
export interface AnySchema {
  entities: Record<string, { row: { id: string }; insert: object; update: object }>;
  functions: Record<string, { kind: "query" | "mutation" | "action"; args: object; result: any }>;
}

/** The schema of an app that nothing was generated for. */
export interface OpenSchema {
  entities: Record<string, { row: Row; insert: Record<string, any>; update: Record<string, any> }>;
  functions: Record<string, { kind: any; args: any; result: any }>;
}

export type EntityName<S extends AnySchema> = keyof S["entities"] & string;
export type FunctionName<S extends AnySchema> = keyof S["functions"] & string;
export type QueryName<S extends AnySchema> = {
  [N in FunctionName<S>]: "query" extends S["functions"][N]["kind"] ? N : never;
}[FunctionName<S>];
export type RowOf<S extends AnySchema, E extends EntityName<S>> = S["entities"][E]["row"];
export type InsertOf<S extends AnySchema, E extends EntityName<S>> = S["entities"][E]["insert"];
export type UpdateOf<S extends AnySchema, E extends EntityName<S>> = S["entities"][E]["update"];
export type ArgsOf<S extends AnySchema, N extends FunctionName<S>> = S["functions"][N]["args"];
export type ResultOf<S extends AnySchema, N extends FunctionName<S>> = S["functions"][N]["result"];

/** The arguments of a function, which may be left out where none is required. */
export type Arguments<A> = {} extends A ? [args?: A] : [args: A];

/** A type that is given and never guessed from the arguments. */
type Given<T> = [T][T extends any ? 0 : never];

/** A row: `id` and the entity's fields. */
export type Row = Record<string, any> & { id: string };

/** What a write resolves with, once it is durable on the server. */
export interface Written {
  id: string;
  seq: number;
}

export type Status = "connecting" | "live" | "offline" | "maintenance" | "blocked";

/** What is switched off (`server`, `sync`, `read-only` …), why, and until when if that is known. */
export interface Maintenance {
  scope: string;
  reason: string;
  until: Date | null;
}

/** A part of the server that is switched off: an `entity`, a `function`, a way to sign in (`auth`), `uploads`; with `user`,
 * `ip` and `anonymous` the caller's own writes. `blocks` is `writes` where reading goes on. */
export interface Switch {
  scope: SwitchScope;
  target: string;
  blocks: "all" | "writes";
  reason: string;
  until: Date | null;
}

export type SwitchScope = "entity" | "function" | "auth" | "uploads" | "user" | "ip" | "anonymous";

export interface Session {
  user_id: string | null;
  is_admin: boolean;
  is_guest?: boolean;
  tenant_id?: string | null;
  roles: string[];
  /** Everybody needs a second factor here, and this session has shown none: every other door is closed to it. */
  second_factor_missing?: boolean;
}

/** Where rows and unconfirmed writes are kept, and why not on disk. */
export interface Storage {
  kind: "disk" | "memory";
  reason: string | null;
}

/** One frame of a stream; `event` is "message" if unnamed. */
export interface Frame {
  id: string | null;
  event: string;
  data: string;
}

/** A write as `onError` tells of it. */
export interface Write {
  op_id: string;
  entity: string;
  row_id: string;
  kind: "insert" | "update" | "delete";
  data?: Record<string, any>;
}

/** Somebody else changed what an unconfirmed update of ours sets; `theirs` is null when they deleted the row. */
export interface Conflict {
  entity: string;
  id: string;
  fields: string[];
  mine: Record<string, any>;
  theirs: Row | null;
  before: Row | null;
}

export type Where<T> = { [K in keyof T]?: T[K] | readonly T[K][] | null } | ((row: T) => boolean);
export type Order<T> = OneOrMore<(keyof T & string) | `-${keyof T & string}`>;
type OneOrMore<T> = T | readonly T[];

export interface LiveOptions<T = Row> {
  where?: Where<T>;
  order?: Order<T>;
  limit?: number;
}

/** Which entities to hold, each with a filter of `POST /api/query`; null: all there are. */
export type Scope<S extends AnySchema = OpenSchema> = { [E in EntityName<S>]?: Record<string, any> } | null;

export interface Options<S extends AnySchema = OpenSchema> {
  url?: string;
  token?: string;
  app?: string;
  scope?: Scope<S>;
  persist?: boolean;
  share?: boolean;
  onError?: (error: PylonError, write: Write) => void;
  onConflict?: (conflict: Conflict) => Record<string, any> | void;
}

export class PylonError extends Error {
  constructor(
    code: string,
    message: string,
    more?: { hint?: string; status?: number; retryAfter?: number; maintenance?: Maintenance | null; cause?: unknown },
  );
  code: string;
  hint?: string;
  status: number;
  retryAfter: number;
  maintenance: Maintenance | null;
}

/** The rows of one entity that match, sorted, always current. Made by `db.live()`. */
export class Live<T = Row> {
  private constructor();
  readonly rows: T[];
  readonly loading: boolean;
  readonly ready: Promise<T[]>;
  subscribe(fn: (rows: T[]) => void): () => void;
  close(): void;
}

/** A query function's result, pushed when it changes. Made by `db.liveFn()`. */
export class LiveFunction<R = any> {
  private constructor();
  readonly value: R | undefined;
  readonly error: PylonError | null;
  readonly loading: boolean;
  readonly ready: Promise<R>;
  subscribe(fn: (live: LiveFunction<R>) => void): () => void;
  close(): void;
}

export interface Member<D = any> {
  user_id: string;
  data: D | null;
  joined_at: string;
}

/** Who is here, and what they tell each other. Made by `db.room()`. */
export class Room<D = any> {
  private constructor();
  readonly name: string;
  readonly members: Member<D>[];
  readonly joined: boolean;
  readonly error: PylonError | null;
  subscribe(fn: (room: Room<D>) => void): () => void;
  on<M = any>(topic: string, fn: (data: M, from: string | null) => void): () => void;
  set(data: D): void;
  broadcast(topic: string, data?: any): Promise<boolean>;
  send(topic: string, data?: any): void;
  leave(): void;
}

/** A text that several people edit at once. Made by `db.text()`. */
export class CollabText {
  private constructor();
  readonly value: string;
  readonly loading: boolean;
  readonly saved: boolean;
  readonly error: PylonError | null;
  readonly ready: Promise<string>;
  subscribe(fn: (text: CollabText) => void): () => void;
  splice(at: number, gone: number, come: string): void;
  set(wanted: string): void;
  bind(element: HTMLTextAreaElement | HTMLInputElement): () => void;
  close(): void;
}

/** One connection to one server. Made by `connect()`. */
export class Database<S extends AnySchema = OpenSchema> {
  private constructor();
  readonly status: Status;
  readonly maintenance: Maintenance | null;
  readonly switches: Switch[];
  readonly pending: number;
  readonly token: string | null;
  readonly user: Session | null;
  readonly storage: Storage;
  readonly leads: boolean;

  onStatus(fn: (status: Status, maintenance: Maintenance | null) => void): () => void;
  switchOn(scope: SwitchScope, target?: string): Switch | null;
  onSwitch(fn: (switches: Switch[]) => void): () => void;
  onSession(fn: (session: Session) => void): () => void;
  onStorage(fn: (storage: Storage) => void): () => void;
  onProgress(fn: (progress: { rows: number; done: boolean }) => void): () => void;
  onError(fn: (error: PylonError, write: Write) => void): () => void;

  me(): Promise<Session>;
  guest(): Promise<Session>;
  session(userId: string): Promise<Session>;
  use(token: string | null): Promise<Session>;
  signOut(): Promise<Session>;

  live<E extends EntityName<S>>(entity: E, options?: LiveOptions<RowOf<S, E>>): Live<RowOf<S, E>>;
  live<T = never>(entity: string, options?: [T] extends [never] ? never : LiveOptions<Given<T>>): Live<T>;
  get<E extends EntityName<S>>(entity: E, id: string): RowOf<S, E> | undefined;
  get<T>(entity: string, id: string): T | undefined;
  query<E extends EntityName<S>>(entity: E, query?: Record<string, any>): Promise<RowOf<S, E>[]>;
  scope(scope: Scope<S>): Promise<void>;

  insert<E extends EntityName<S>>(entity: E, data: InsertOf<S, E>): Promise<Written>;
  update<E extends EntityName<S>>(entity: E, id: string, patch: UpdateOf<S, E>): Promise<Written>;
  delete(entity: EntityName<S>, id: string): Promise<Written>;

  call<N extends FunctionName<S>>(name: N, ...args: Arguments<ArgsOf<S, N>>): Promise<ResultOf<S, N>>;
  stream<N extends FunctionName<S>>(
    name: N,
    args?: ArgsOf<S, N>,
    options?: { signal?: AbortSignal },
  ): AsyncGenerator<Frame, ResultOf<S, N>>;
  liveFn<N extends QueryName<S>>(name: N, ...args: Arguments<ArgsOf<S, N>>): LiveFunction<ResultOf<S, N>>;
  room<D = any>(name: string, options?: { data?: D }): Room<D>;
  text(entity: EntityName<S>, id: string, field: string): CollabText;
  close(): void;
}

export function connect<S extends AnySchema = OpenSchema>(options?: Options<S>): Database<S>;
export function generateId(): string;
export function parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame, void>;
