// Types of pylon-react.js, for TypeScript. What each hook does is documented there and in docs/guide/react.md.
import type {
  AnySchema,
  Arguments,
  ArgsOf,
  Database,
  EntityName,
  FunctionName,
  InsertOf,
  LiveOptions,
  Member,
  OpenSchema,
  Order,
  PylonError,
  QueryName,
  ResultOf,
  RowOf,
  Session,
  Status,
  Switch,
  SwitchScope,
  UpdateOf,
  Written,
} from "./pylon.js";

/** What `createHooks` needs of React. */
export interface ReactHooks {
  useCallback: any;
  useEffect: any;
  useMemo: any;
  useRef: any;
  useState: any;
  useSyncExternalStore: any;
}

export interface Result<T> {
  data: T;
  loading: boolean;
  error: PylonError | null;
}

export interface Mutation<A, R> extends Result<R | undefined> {
  mutate(...args: Arguments<A>): Promise<R>;
  reset(): void;
}

export interface Writes<I, U> {
  insert(data: I): Promise<Written>;
  update(id: string, patch: U): Promise<Written>;
  remove(id: string): Promise<Written>;
  pending: number;
  error: PylonError | null;
}

export interface RoomState<D> {
  members: Member<D>[];
  joined: boolean;
  error: PylonError | null;
  set(data: D): void;
  broadcast(topic: string, data?: any): Promise<boolean>;
  send(topic: string, data?: any): void;
  on<M = any>(topic: string, fn: (data: M, from: string | null) => void): () => void;
}

export interface TextState {
  value: string;
  setValue(value: string): void;
  loading: boolean;
  error: PylonError | null;
  ref: (element: HTMLTextAreaElement | HTMLInputElement | null) => void;
}

export interface PageOptions<T> {
  where?: Record<string, any>;
  order?: Order<T>;
}

export interface Infinite<T> extends Result<T[]> {
  hasMore: boolean;
  loadMore(): Promise<void>;
  reload(): Promise<void>;
}

export interface Paginated<T> extends Result<T[]> {
  page: number;
  hasNext: boolean;
  setPage(page: number): void;
  next(): void;
  previous(): void;
  reload(): Promise<void>;
}

export interface Hooks<S extends AnySchema> {
  useQuery<E extends EntityName<S>>(
    entity: E | null,
    options?: LiveOptions<RowOf<S, E>>,
  ): Result<RowOf<S, E>[] | undefined>;
  useOne<E extends EntityName<S>>(
    entity: E,
    which: string | LiveOptions<RowOf<S, E>> | null | undefined,
  ): Result<RowOf<S, E> | undefined>;
  useFn<N extends QueryName<S>>(
    name: N | null,
    ...args: Arguments<ArgsOf<S, N>>
  ): Result<ResultOf<S, N> | undefined>;
  useMutation<N extends FunctionName<S>>(name: N): Mutation<ArgsOf<S, N>, ResultOf<S, N>>;
  useWrites<E extends EntityName<S>>(entity: E): Writes<InsertOf<S, E>, UpdateOf<S, E>>;
  useRoom<D = any>(name: string | null, options?: { data?: D }): RoomState<D>;
  useCollabText(entity: EntityName<S>, id: string | null, field: string): TextState;
  useInfiniteQuery<E extends EntityName<S>>(
    entity: E,
    options?: PageOptions<RowOf<S, E>> & { limit?: number },
  ): Infinite<RowOf<S, E>>;
  usePaginatedQuery<E extends EntityName<S>>(
    entity: E,
    options?: PageOptions<RowOf<S, E>> & { pageSize?: number },
  ): Paginated<RowOf<S, E>>;
  useStatus(): Status;
  useSwitches(): Switch[];
  useSwitch(scope: SwitchScope, target?: string): Switch | null;
  useSession(): Session | null;
}

export function createHooks<S extends AnySchema = OpenSchema>(React: ReactHooks, db: Database<S>): Hooks<S>;
