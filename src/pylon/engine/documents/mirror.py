"""Making the edits of one text in its twin: a field's text and the root text of the same name (spec 02 §20.4).

Edits are carried over as edits, not as a new text, so that what others write meanwhile merges with them in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loro import EventTriggerKind, ExportMode, LoroDoc, LoroText, TextDelta

from pylon.engine.documents.loro import new_doc

Delta = Sequence[TextDelta]
"""Retain, insert and delete, in characters."""


def replay(delta: Delta | None, text: LoroText) -> None:
    """Make these edits in another text that was the same. Formatting stays with the text that has it."""
    if delta is None:
        return
    at, length = 0, text.len_unicode
    for step in delta:
        if isinstance(step, TextDelta.Retain):
            at += step.retain
        elif isinstance(step, TextDelta.Insert):
            text.insert(min(at, length), step.insert)
            at += len(step.insert)
            length += len(step.insert)
        elif isinstance(step, TextDelta.Delete):
            gone = min(step.delete, length - at)
            if gone > 0:
                text.delete(at, gone)
                length -= gone


def crossed(here: Delta, there: Delta, length: int) -> tuple[Delta, Delta]:
    """Edits made at once in both of two equal texts: (those of here as they apply there, those of there as they apply
    here). `length` is that of the text here after its edits. loro itself decides, on texts of that length."""
    for step in here:
        if isinstance(step, TextDelta.Insert):
            length -= len(step.insert)
        elif isinstance(step, TextDelta.Delete):
            length += step.delete
    first, second = new_doc(1), new_doc(2)
    first.get_text("text").insert(0, "." * length)
    second.import_(first.export(ExportMode.Snapshot()))
    replay(here, first.get_text("text"))
    replay(there, second.get_text("text"))
    first.commit()
    second.commit()
    ours, theirs = first.export(ExportMode.Snapshot()), second.export(ExportMode.Snapshot())
    return _arriving(second, ours), _arriving(first, theirs)


def _arriving(doc: LoroDoc, update: bytes) -> Delta:
    seen: list[Any] = []

    def hear(event: Any) -> None:
        if event.triggered_by == EventTriggerKind.Import:
            seen.extend(event.events)

    subscription = doc.subscribe_root(hear)
    doc.import_(update)
    subscription.unsubscribe()
    return [step for change in seen for step in change.diff.diff]
