"""The book of incidents over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pylon.engine.audit.search import AuditFilter
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.ops.incident import book as incident_book
from pylon.ops.incident.book import JOURNAL_TITLE, Book, new_event
from pylon.ops.incident.journal import Entry, Journal
from pylon.ops.incident.record import EVENT_KIND, Incident, new_incident_id
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR

NOW = 1_795_406_400.0


@pytest.fixture
async def engine(notes: AppSpec, tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(notes, tmp_path) as engine:
        yield engine


def incident(title: str = "Writes time out", **fields: object) -> Incident:
    return Incident(**{"id": new_incident_id(NOW), "title": title, "started_at": NOW, **fields})  # type: ignore[arg-type]


async def test_one_incident_is_open_at_a_time(engine: Engine) -> None:
    book = Book(engine)
    first, _ = await book.start(ADMINISTRATOR, incident())
    with pytest.raises(PylonError) as refused:
        await book.start(ADMINISTRATOR, incident("another"))
    assert refused.value.code == "INCIDENT_OPEN"
    assert first.id in refused.value.message
    await book.start(ADMINISTRATOR, incident("another"), parallel=True)
    assert len(await book.all()) == 2


async def test_a_start_and_a_note_that_are_told_twice_are_kept_once(engine: Engine) -> None:
    book = Book(engine)
    started = incident()
    assert (await book.start(ADMINISTRATOR, started))[1]
    assert not (await book.start(ADMINISTRATOR, started))[1]
    event = new_event(started.id, NOW, "x")
    assert (await book.note(ADMINISTRATOR, event))[1]
    assert not (await book.note(ADMINISTRATOR, event))[1]
    assert len((await book.get("open"))[1]) == 1


async def test_notes_come_in_the_order_of_what_happened(engine: Engine) -> None:
    book = Book(engine)
    started, _ = await book.start(ADMINISTRATOR, incident())
    for at in (NOW + 9, NOW - 60, NOW + 3):
        await book.note(ADMINISTRATOR, msgspec.structs.replace(new_event(started.id, NOW, str(at)), at=at))
    assert [event.at for event in (await book.get(started.id))[1]] == [NOW - 60, NOW + 3, NOW + 9]


async def test_a_closed_incident_takes_notes_but_no_second_close(engine: Engine) -> None:
    book = Book(engine)
    started, _ = await book.start(ADMINISTRATOR, incident())
    closed = await book.close(ADMINISTRATOR, "open", at=NOW + 5, by="ada", summary="over")
    assert closed.summary == "over"
    with pytest.raises(PylonError) as refused:
        await book.close(ADMINISTRATOR, started.id, at=NOW + 6, by="ada", summary="")
    assert refused.value.code == "INCIDENT_CLOSED"
    await book.note(ADMINISTRATOR, new_event(started.id, NOW + 7, "afterwards"))
    with pytest.raises(PylonError) as nothing_open:
        await book.note(ADMINISTRATOR, new_event("open", NOW + 7, "where?"))
    assert nothing_open.value.code == "INCIDENT_NOT_FOUND"


async def test_every_step_is_in_the_audit_log(engine: Engine) -> None:
    book = Book(engine)
    started, _ = await book.start(ADMINISTRATOR, incident())
    await book.note(ADMINISTRATOR, new_event(started.id, NOW, "x"))
    await book.close(ADMINISTRATOR, started.id, at=NOW + 5, by="ada", summary="")
    entries = await engine.audit.search(AuditFilter(kinds=frozenset({"operator"})))
    assert [entry.action for entry in entries] == ["incident.close", "incident.note", "incident.start"]
    assert all(entry.details["target"] == started.id for entry in entries)


async def test_an_incident_holds_a_bounded_number_of_notes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_book, "MAX_EVENTS", 2)
    book = Book(engine)
    started, _ = await book.start(ADMINISTRATOR, incident())
    for _ in range(2):
        await book.note(ADMINISTRATOR, new_event(started.id, NOW, "x"))
    with pytest.raises(PylonError) as refused:
        await book.note(ADMINISTRATOR, new_event(started.id, NOW, "x"))
    assert refused.value.code == "INCIDENT_FULL"


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "no/slashes"), ("text", ""), ("text", "x" * 10_001), ("due", "soon"), ("by", "x" * 121)],
)
async def test_a_note_of_the_wrong_shape_is_refused_by_name(engine: Engine, field: str, value: str) -> None:
    book = Book(engine)
    started, _ = await book.start(ADMINISTRATOR, incident())
    with pytest.raises(PylonError, match=f"^{field}:"):
        await book.note(ADMINISTRATOR, msgspec.structs.replace(new_event(started.id, NOW, "x"), **{field: value}))


async def test_a_record_that_cannot_be_read_hides_no_other(engine: Engine) -> None:
    book = Book(engine)
    started, _ = await book.start(ADMINISTRATOR, incident())
    await engine.run(ADMINISTRATOR, lambda tx: tx.session.put_record(EVENT_KIND, f"{started.id}/x", b"{torn"))
    await book.note(ADMINISTRATOR, new_event(started.id, NOW, "still here"))
    assert [event.text for event in (await book.get("open"))[1]] == ["still here"]


async def test_a_journal_is_merged_once(engine: Engine, tmp_path: Path) -> None:
    book, journal = Book(engine), Journal(tmp_path)
    started = incident()
    journal.append(Entry(start=started))
    journal.append(Entry(note=new_event(started.id, NOW + 1, "while down")))
    content = journal.path.read_bytes()
    assert await book.merge(journal) == 2
    journal.path.write_bytes(content)  # as if the server died between the commit and the emptying
    assert await book.merge(journal) == 0
    found, events = await book.get("open")
    assert (found, [event.text for event in events]) == (started, ["while down"])


async def test_a_journalled_note_belongs_to_the_open_incident(engine: Engine, tmp_path: Path) -> None:
    book, journal = Book(engine), Journal(tmp_path)
    started, _ = await book.start(ADMINISTRATOR, incident())
    journal.append(Entry(note=new_event("", NOW + 1, "while down")))
    await book.merge(journal)
    assert [event.incident for event in (await book.get("open"))[1]] == [started.id]


async def test_a_journalled_note_without_an_incident_gets_one(engine: Engine, tmp_path: Path) -> None:
    book, journal = Book(engine), Journal(tmp_path)
    journal.append(Entry(note=new_event("", NOW + 1, "while down")))
    journal.append(Entry(note=new_event("never-was", NOW + 2, "also")))
    await book.merge(journal)
    found, events = await book.get("open")
    assert found.title == JOURNAL_TITLE
    assert [event.text for event in events] == ["while down", "also"]


async def test_an_entry_that_is_refused_stops_no_other(engine: Engine, tmp_path: Path) -> None:
    book, journal = Book(engine), Journal(tmp_path)
    journal.append(Entry(note=new_event("", NOW, "x" * 10_001)))
    journal.append(Entry(note=new_event("", NOW, "fine")))
    assert await book.merge(journal) == 1
    assert journal.entries() == []
