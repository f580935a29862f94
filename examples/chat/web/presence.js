// @ts-check
// Who looks at the open channel now, and who of them is writing. Nothing of it is stored: it lives in a room of the
// channel's id, which only those know who may read the channel.
import { avatar, h, keyed } from "./dom.js";

const IDLE_MS = 3_000; //  who stops typing for so long is not writing any more
const SHOWN = 5; //        avatars in the header; of more the number is told

/** @param {import("/pylon.js").Database} db @param {string} me @param {(user: string) => string} nameOf @param {{here: HTMLElement, typing: HTMLElement}} places */
export function presence(db, me, nameOf, { here, typing }) {
  /** @type {import("/pylon.js").Room|null} */
  let room = null;
  let isTyping = false;
  let idle = 0;

  /** @param {boolean} value */
  function show(value) {
    clearTimeout(idle);
    if (value) idle = setTimeout(() => show(false), IDLE_MS);
    if (value === isTyping) return;
    isTyping = value;
    room?.set({ typing: value });
  }

  function draw() {
    const others = (room?.members ?? []).filter(({ user_id }) => user_id !== me).map(({ user_id, data }) => ({ user: user_id, name: nameOf(user_id), typing: data?.typing === true }));
    const shown = others.slice(0, SHOWN).map(({ user, name, typing: isWriting }) => ({ key: user, data: { user, name, isWriting } }));
    keyed(here, shown, ({ user, name, isWriting }) => {
      const face = avatar(user, name);
      Object.assign(face, { title: `${name} is here`, className: `avatar here${isWriting ? " typing" : ""}` });
      Object.assign(face.dataset, { testid: "here", user });
      return face;
    });
    if (others.length > SHOWN) here.append(h("span", { className: "more", textContent: `+${others.length - SHOWN}` }));
    const names = others.filter((one) => one.typing).map(({ name }) => name);
    typing.textContent = names.length > 2 ? "Several people are writing…" : names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} writing…` : "";
  }

  return {
    draw,
    /** Called at each keystroke. */
    type: () => show(true),
    /** The message was sent, or given up. */
    stop: () => show(false),
    /** Goes into a channel's room, and out of the former. @param {string|null} channel */
    enter(channel) {
      if (room?.name === channel) return;
      room?.leave();
      isTyping = false;
      room = channel ? db.room(channel, { data: { typing: false } }) : null;
      room?.subscribe(draw);
      draw();
    },
  };
}
