// Types of pylon.js, for TypeScript. What each member does is documented there and in docs/reference/pylon-js.md.

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

export interface Session {
  user_id: string | null;
  is_admin: boolean;
  is_guest?: boolean;
  tenant_id?: string | null;
  roles: string[];
}

/** One frame of a stream; `event` is "message" if unnamed. */
export interface Frame {
  id: string | null;
  event: string;
  data: string;
}

export interface LiveOptions<T = Row> {
  where?: { [K in keyof T]?: T[K] | readonly T[K][] | null } | ((row: T) => boolean);
  order?: string | string[];
  limit?: number;
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

/** The rows of one entity that match, sorted, always current. */
export interface Live<T = Row> {
  readonly rows: T[];
  readonly loading: boolean;
  readonly ready: Promise<T[]>;
  subscribe(fn: (rows: T[]) => void): () => void;
  close(): void;
}

export interface Database {
  readonly status: Status;
  readonly maintenance: Maintenance | null;
  readonly pending: number;
  readonly token: string | null;
  readonly user: Session | null;
  onStatus(fn: (status: Status, maintenance: Maintenance | null) => void): () => void;
  onSession(fn: (session: Session) => void): () => void;
  me(): Promise<Session>;
  guest(): Promise<Session>;
  session(userId: string): Promise<Session>;
  use(token: string | null): Promise<Session>;
  signOut(): Promise<Session>;
  live<T = Row>(entity: string, options?: LiveOptions<T>): Live<T>;
  get<T = Row>(entity: string, id: string): T | undefined;
  insert(entity: string, data: Record<string, any>): Promise<Written>;
  update(entity: string, id: string, patch: Record<string, any>): Promise<Written>;
  delete(entity: string, id: string): Promise<Written>;
  call<R = any>(name: string, args?: Record<string, any>): Promise<R>;
  stream<R = any>(
    name: string,
    args?: Record<string, any>,
    options?: { signal?: AbortSignal },
  ): AsyncGenerator<Frame, R>;
  close(): void;
}

export function connect(options?: { url?: string; token?: string; app?: string }): Database;
export function generateId(): string;
export function parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame, void>;
