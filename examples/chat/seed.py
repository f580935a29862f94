# ruff: noqa: E501 - what somebody says is one line
"""Fills the chat with people, channels and a few days of talk, through the HTTP API and so through the write path.

    python seed.py http://127.0.0.1:4321 ADMIN_TOKEN

The same rows with the same ids every time; a second run finds them and writes nothing.
"""

import json
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

PEOPLE = {
    "ada": "Ada Lindqvist",
    "ben": "Ben Okafor",
    "cleo": "Cleo Marchetti",
    "dan": "Dan Novák",
    "eve": "Eve Tanaka",
}

CHANNELS = {
    "general": ("Everything that concerns everybody", list(PEOPLE)),
    "design": ("Screens, words and corners", ["ada", "cleo", "eve"]),
    "incidents": ("What broke, and what we learnt", ["ada", "ben", "dan"]),
}

# fmt: off
# channel, hours before now, author, text, reactions
TALK: list[tuple[str, float, str, str, dict[str, str]]] = [
    ("general", 51.0, "ada", "Good morning! The new office plants have arrived 🌿", {"🎉": "ben cleo eve", "❤️": "dan"}),
    ("general", 50.9, "ben", "Which of us is going to remember to water them?", {"😂": "ada cleo"}),
    ("general", 50.8, "cleo", "I made a rota. It's on the fridge.", {"👍": "ada ben dan eve"}),
    ("general", 47.2, "dan", "Reminder: the demo for the museum is on Thursday at 10.", {"👀": "ada"}),
    ("general", 47.1, "dan", "I'll bring the small projector. The big one hums.", {}),
    ("general", 46.5, "eve", "Can I show the ticket screen? It finally feels fast.", {"👍": "dan ada"}),
    ("general", 46.4, "dan", "Please do. Ten minutes, then questions.", {}),
    ("general", 27.0, "ben", "Coffee machine is back. It now has opinions about descaling.", {"😂": "ada eve", "🎉": "cleo"}),
    ("general", 26.6, "ada", "Everyone who was on call this weekend: take Friday afternoon off.", {"❤️": "ben dan"}),
    ("general", 26.5, "ben", "Gladly.", {}),
    ("general", 23.9, "cleo", "Lunch at the harbour today? The fish place has tables outside.", {"👍": "ada ben eve"}),
    ("general", 23.8, "eve", "Yes! 12:15 downstairs.", {"👍": "cleo"}),
    ("general", 4.2, "dan", "The museum wrote back: they want to start with two rooms in March.", {"🎉": "ada ben cleo eve"}),
    ("general", 4.1, "ada", "That's wonderful news. Well done, all of you.", {"❤️": "dan eve"}),
    ("general", 3.9, "eve", "They asked twice how the screens stay in step. I said: one log, one order, everybody reads it.", {"👀": "ben"}),
    ("general", 3.8, "ben", "Best explanation of our backend so far.", {"😂": "eve"}),
    ("general", 0.6, "cleo", "Cake in the kitchen at three. No reason needed.", {"🎉": "ada ben dan eve", "❤️": "ada"}),
    ("design", 49.0, "cleo", "First pass at the ticket screen is up. The numbers are tabular now, so nothing jumps.", {"👍": "ada eve"}),
    ("design", 48.6, "eve", "Much calmer. Could the sold-out state be grey instead of red? Nothing is wrong, it's just sold out.", {"👍": "cleo"}),
    ("design", 48.5, "cleo", "Good point. Grey it is.", {}),
    ("design", 29.3, "ada", "Dark mode: the borders disappear on the old tablets.", {"👀": "cleo"}),
    ("design", 29.0, "cleo", "Raised the contrast by one step. Have a look tomorrow in daylight?", {}),
    ("design", 25.2, "ada", "Looked. Readable from two metres now.", {"🎉": "cleo"}),
    ("design", 22.5, "eve", "I timed five people finding the refund button: 4, 6, 3, 21 and 5 seconds.", {}),
    ("design", 22.4, "eve", "The 21 looked in the menu first.", {}),
    ("design", 22.1, "cleo", "Then it goes into the menu as well.", {"👍": "eve ada"}),
    ("design", 2.6, "cleo", "Copy question: “Could not save” or “Not saved yet”?", {}),
    ("design", 2.5, "eve", "“Not saved yet. Trying again.” It's true, and it says what happens next.", {"❤️": "cleo", "👍": "ada"}),
    ("incidents", 44.0, "ben", "Orders page was slow from 09:12 to 09:31 UTC. Cause: one report without a limit.", {"👀": "ada dan"}),
    ("incidents", 43.8, "dan", "Did we lose anything?", {}),
    ("incidents", 43.7, "ben", "No. Reads waited, writes went through. Nothing to restore.", {"👍": "dan ada"}),
    ("incidents", 43.0, "ada", "What would have told us at 09:13?", {}),
    ("incidents", 42.7, "ben", "The oldest-reader gauge. It's on the dashboard now, with an alert at 5 s.", {"🎉": "ada"}),
    ("incidents", 20.4, "dan", "Drill this morning: pulled the plug on the staging box in mid-write.", {"👀": "ben"}),
    ("incidents", 20.3, "dan", "Back after 0.6 s, every acknowledged order was there, clients caught up by themselves.", {"🎉": "ada ben"}),
    ("incidents", 20.1, "ben", "Boring. Exactly as it should be.", {"😂": "dan", "❤️": "ada"}),
    ("incidents", 5.5, "ada", "The write-up of Monday is in the handbook, with the timeline.", {"👍": "ben dan"}),
    ("incidents", 1.4, "ben", "Disk watermark alert on the build machine. Cleaned up, 61 % now.", {"👍": "ada"}),
]
# fmt: on


def rows(now: datetime) -> list[dict[str, object]]:
    """The operations that make everything, in one transaction's order."""
    operations: list[dict[str, object]] = []

    def insert(entity: str, row_id: str, **data: object) -> str:
        operations.append({"op": "insert", "entity": entity, "data": {"id": row_id, **data}})
        return row_id

    for i, (user, name) in enumerate(PEOPLE.items()):
        insert("Profile", _id(1, i), user=user, name=name)
    channels = {name: _id(2, i) for i, name in enumerate(CHANNELS)}
    for name, (topic, members) in CHANNELS.items():
        _, hours, author, text, _ = [said for said in TALK if said[0] == name][-1]
        insert(
            "Channel",
            channels[name],
            name=name,
            topic=topic,
            messages=sum(said[0] == name for said in TALK),
            last_message=text[:140],
            last_author=author,
            last_at=_time(now, hours),
            created=_time(now, 72),
        )
        for user in members:
            insert("Membership", _id(3, len(operations)), channel=channels[name], user=user, joined=_time(now, 72))
    for i, (name, hours, author, text, reactions) in enumerate(TALK):
        message = _id(4, i)
        insert("Message", message, channel=channels[name], author=author, body=text, sent=_time(now, hours))
        for emoji, users in reactions.items():
            for user in users.split():
                reaction = _id(5, len(operations))
                insert("Reaction", reaction, message=message, channel=channels[name], user=user, emoji=emoji)
    return operations


def seed(client_url: str, admin_token: str, now: datetime | None = None) -> bool:
    """Writes everything in one transaction; False when it is there already. Raises RuntimeError when refused."""
    operations = rows(now or datetime.now(UTC))
    status, _ = _request("GET", f"{client_url}/api/entities/Profile/{_id(1, 0)}", admin_token)
    if status == 200:
        return False
    status, answer = _request("POST", f"{client_url}/api/transact", admin_token, operations)
    if status != 200:
        raise RuntimeError(f"seeding was refused with {status}: {answer}")
    return True


def _request(method: str, url: str, token: str, body: object = None) -> tuple[int, object]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=10) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def _id(kind: int, number: int) -> str:
    return f"{kind:032x}{number:08x}"


def _time(now: datetime, hours_ago: float) -> str:
    return (now - timedelta(hours=hours_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python seed.py URL ADMIN_TOKEN")
    print("seeded" if seed(sys.argv[1].rstrip("/"), sys.argv[2]) else "already seeded")
