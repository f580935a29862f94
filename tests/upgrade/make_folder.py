"""Makes a data folder with the Pylon that is on the path, for `test_upgrade_law.py` to open with later ones:

    python tests/upgrade/make_folder.py tests/upgrade/0.1.0

Run it once for each release, with that release; what it wrote is never made again.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from loro import ExportMode, LoroDoc

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

HERE = Path(__file__).parent
CENTURY = "3153600000"
ENV = {
    "PYLON_SECRET_KEY": "key-of-the-upgrade-law-only-0123456789abcdef",
    "PYLON_SESSION_SECS": CENTURY,
    "PYLON_SESSION_MAX_SECS": "0",
    "PYLON_ARCHIVE_SECS": "0",
}
"""The fixture's sessions must not end before the project does."""


def make(target: Path) -> None:
    """Write `pylon.db.gz` and `held.json`, what a client saw."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as passing:
        data = Path(passing) / "data"
        app = Path(shutil.copy(HERE / "first_app.py", Path(passing) / "app.py"))
        with ServerProcess(app, data, env=ENV) as server:
            held = fill(server)
        with sqlite3.connect(data / "pylon.db") as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")
        (target / "pylon.db.gz").write_bytes(gzip.compress((data / "pylon.db").read_bytes(), 9, mtime=0))
    (target / "held.json").write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")


def fill(server: ServerProcess) -> dict[str, object]:
    """Write a bit of everything; what there was to see of it."""
    token = server.token_of("ada")
    person = server.request("POST", "/api/entities/Person", {"name": "Ada"}, token=ADMIN_TOKEN)[1]["id"]
    values = {
        "title": "first",
        "body": "<b>é</b>",
        "stars": 7,
        "score": 1.5,
        "done": True,
        "at": "2026-11-23T03:14:00.000Z",
        "meta": {"a": [1, None]},
        "state": "open",
        "author": person,
        "secret": "hidden",
    }
    note = server.request("POST", "/api/entities/Note", values, token=ADMIN_TOKEN)[1]["id"]
    gone = server.request("POST", "/api/entities/Note", values | {"title": "gone"}, token=ADMIN_TOKEN)[1]["id"]
    cursor = server.request("GET", "/api/sync/pull?since=0", token=token)[1]["cursor"]["last_seq"]
    server.request("PATCH", f"/api/entities/Note/{note}", {"title": "edited"}, token=ADMIN_TOKEN)
    server.request("DELETE", f"/api/entities/Note/{gone}", token=ADMIN_TOKEN)
    server.request("POST", "/api/admin/switches", {"scope": "entity", "target": "Person"}, token=ADMIN_TOKEN)
    server.request("PUT", "/api/admin/flags/new-editor", {"on": True}, token=ADMIN_TOKEN)
    peer = LoroDoc()  # type: ignore[no-untyped-call]
    peer.peer_id = 7
    for stars in range(200):  # behind everything that the server put there, so that it wins
        peer.get_map("row").insert("stars", stars)
    peer.commit()
    update = peer.export(ExportMode.Snapshot()).hex()
    assert server.request("POST", f"/api/crdt/Note/{note}", {"update": update}, token=token)[0] == 200
    return {
        "token": token,
        "person": person,
        "note": note,
        "gone": gone,
        "cursor": cursor,
        "row": server.request("GET", f"/api/entities/Note/{note}", token=token)[1],
        "changes": server.request("GET", f"/api/sync/pull?since={cursor}", token=token)[1]["changes"],
    }


if __name__ == "__main__":
    make(Path(sys.argv[1]))
