// Written by `pylon codegen client`. Run it again after a change of the app; do not edit.

export interface Todo {
  id: string;
  title: string;
  done: boolean;
  created: string;
}

export interface TodoInsert {
  id?: string;
  title: string;
  done?: boolean;
  created?: string;
}

export interface TodoUpdate {
  title?: string;
  done?: boolean;
  created?: string;
}

export interface Private {
  id: string;
  text: string;
  holder: string;
}

export interface PrivateInsert {
  id?: string;
  text: string;
  holder: string;
}

export interface PrivateUpdate {
  text?: string;
  holder?: string;
}

export interface Note {
  id: string;
  title: string;
  body: string;
  locked: boolean;
}

export interface NoteInsert {
  id?: string;
  title: string;
  body?: string;
  locked?: boolean;
}

export interface NoteUpdate {
  title?: string;
  body?: string;
  locked?: boolean;
}

export interface Counts {
  done: number;
  open: number;
  oldest: Todo | null;
}

export interface Schema {
  entities: {
    Todo: { row: Todo; insert: TodoInsert; update: TodoUpdate };
    Private: { row: Private; insert: PrivateInsert; update: PrivateUpdate };
    Note: { row: Note; insert: NoteInsert; update: NoteUpdate };
  };
  functions: {
    add: { kind: "mutation"; args: { title: string }; result: Todo };
    send_out: { kind: "action"; args: { room: string; user: string }; result: null };
    counts: { kind: "query"; args: { prefix?: string | null }; result: Counts };
    poem: { kind: "action"; args: { fail?: boolean | null }; result: any };
  };
}
