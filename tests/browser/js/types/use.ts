// How an app is written against the types of pylon.js, and what they refuse. Checked by test_pylon_js_types.py.
import * as React from "react";
import { connect, generateId, PylonError, type Live } from "/pylon.js";
import { createHooks } from "/pylon-react.js";
import type { Schema, Todo } from "./pylon.types.js";

const db = connect<Schema>({
  scope: { Todo: { done: false } },
  onError: (error, write) => console.log(error.code, write.op_id),
  onConflict: ({ mine, theirs }) => (theirs ? { ...theirs, ...mine } : undefined),
});
// @ts-expect-error there is no such entity
connect<Schema>({ scope: { Tody: {} } });

const todos: Live<Todo> = db.live("Todo", { where: { done: [true, false], title: "milk" }, order: ["-created", "title"], limit: 3 });
todos.subscribe((rows) => rows.map(({ title }) => title.trim()));
db.live("Todo", { where: ({ done }) => !done });
// @ts-expect-error no such field
db.live("Todo", { where: { titel: "x" } });
// @ts-expect-error no such field
db.live("Todo", { order: "-titel" });
// @ts-expect-error a text, not a number
todos.rows[0]!.title.toFixed();

await db.insert("Todo", { id: generateId(), title: "milk" });
await db.update("Todo", "1", { done: true });
await db.delete("Todo", "1");
// @ts-expect-error title is missing
await db.insert("Todo", { done: true });
// @ts-expect-error done is no text
await db.update("Todo", "1", { done: "yes" });
// @ts-expect-error no such entity
await db.delete("Tody", "1");

const added: Todo = await db.call("add", { title: "milk" });
// @ts-expect-error title is missing
await db.call("add");
const counts = await db.call("counts");
const many: number = counts.done + (counts.oldest?.title.length ?? 0);
// @ts-expect-error no such function
await db.call("ad", {});
const live = db.liveFn("counts");
live.subscribe(({ value, error }) => console.log(value?.done, error?.code, many, added.id));
// @ts-expect-error a mutation can't be live
db.liveFn("add", { title: "x" });
for await (const { event, data } of db.stream("poem", { fail: false })) console.log(event, data);

const room = db.room<{ x: number }>("doc", { data: { x: 1 } });
room.members.map(({ data }) => data?.x);
// @ts-expect-error x is a number
room.set({ x: "1" });
db.onSwitch((switches) => console.log(switches.map(({ scope, target }) => `${scope} ${target}`), db.switchOn("uploads")?.reason))();
// @ts-expect-error no such scope
db.switchOn("tables");
db.text("Todo", "1", "title").bind(document.createElement("textarea"))();

const { useQuery, useOne, useFn, useMutation, useWrites, useRoom, useCollabText, useInfiniteQuery, usePaginatedQuery, useStatus, useSwitches, useSwitch, useSession } = createHooks(React, db);

export function Page({ id }: { id: string | null }) {
  const all = useQuery("Todo", { order: "title" });
  const one = useOne("Todo", id);
  const fn = useFn("counts");
  const add = useMutation("add");
  const { insert } = useWrites("Todo");
  const here = useRoom<{ x: number }>("doc", { data: { x: 2 } });
  const text = useCollabText("Todo", id, "title");
  const more = useInfiniteQuery("Todo", { order: "-title", limit: 5 });
  const pages = usePaginatedQuery("Todo", { pageSize: 5 });
  // @ts-expect-error title is missing
  add.mutate();
  // @ts-expect-error no such entity
  useQuery("Tody");
  void [all.data?.[0]?.title, one.data?.done, fn.data?.done, add.data?.id, insert({ title: "x" }), here.members.length, text.value, useStatus(), useSwitches()[0]?.until?.getTime(), useSwitch("function", "add")?.reason, useSession()?.user_id];
  return [more.data.map(({ title }) => title), pages.data.length, pages.next];
}

const open = connect(); // without a schema everything is open
open.live("Anything", { where: { x: 1 }, order: "-y" }).rows.map((row) => row.z);
open.live<Todo>("Todo").rows[0]?.title;
await open.call("anything", { x: 1 }).catch((error: unknown) => error instanceof PylonError && error.code);
