"""The journal: durable lines that are told once, whatever happens in between."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pylon.ops.incident.book import new_event
from pylon.ops.incident.journal import UNREADABLE, Entry, Journal, open_start
from pylon.ops.incident.record import Incident


def note(text: str) -> Entry:
    return Entry(note=new_event("", 1_795_406_400.0, text))


def texts(journal: Journal) -> list[str]:
    return [entry.note.text for entry in journal.entries() if entry.note is not None]


def test_entries_are_read_in_the_order_of_writing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for text in ("one", "two", "three"):
        journal.append(note(text))
    assert texts(Journal(tmp_path)) == ["one", "two", "three"]


def test_the_folder_is_made_and_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "data")
    journal.append(note("x"))
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_an_append_is_on_the_disk_when_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal = Journal(tmp_path)
    journal.append(note("x"))
    assert journal.path.stat().st_size in synced


def test_draining_empties_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(note("x"))
    with journal.drained() as drain:
        assert len(drain.entries) == 1
    assert journal.entries() == []
    with journal.drained() as drain:
        assert drain.entries == ()


def test_a_drain_that_fails_leaves_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(note("x"))
    with pytest.raises(RuntimeError), journal.drained():
        raise RuntimeError("the database is away")
    assert texts(journal) == ["x"]


def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(note("whole"))
    with journal.path.open("ab") as file:
        file.write(b'{"note":{"id":"torn","te')
    journal.append(note("after"))
    with journal.drained() as drain:
        assert [e.note.text for e in drain.entries if e.note] == ["whole", "after"]
    assert (tmp_path / UNREADABLE).read_bytes() == b'{"note":{"id":"torn","te\n'


def test_what_the_database_refuses_is_kept_beside_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(note("refused"))
    with journal.drained() as drain:
        drain.refused.append(drain.entries[0])
    assert journal.entries() == []
    assert b"refused" in (tmp_path / UNREADABLE).read_bytes()


def test_a_line_appended_while_it_is_drained_is_not_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(note("first"))
    with journal.drained():
        other = threading.Thread(target=Journal(tmp_path).append, args=(note("meanwhile"),))
        other.start()
    other.join()
    assert texts(journal) == ["meanwhile"]


def test_only_one_drains_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(note("x"))
    with journal.drained() as one, Journal(tmp_path).drained() as other:
        assert len(one.entries) == 1
        assert other.entries == ()


def test_the_incident_of_the_journal_is_the_one_started_last() -> None:
    first = Incident(id="first", title="a", started_at=1.0)
    second = Incident(id="second", title="b", started_at=2.0)
    assert open_start([]) is None
    assert open_start([Entry(start=first), note("x"), Entry(start=second)]) == second
