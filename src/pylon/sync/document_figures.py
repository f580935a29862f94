"""What `/metrics` tells of documents: they count by themselves and are asked at each scrape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pylon.engine.documents.documents import Documents
from pylon.signals.metrics import Registry
from pylon.sync.documents import DocumentSockets


def watch_documents(registry: Registry, documents: Documents, sockets: DocumentSockets) -> None:
    """Register the series of documents."""
    cache, done, watchers = documents.cache, documents.statistics, sockets.watchers
    figures: tuple[tuple[str, str, Literal["counter", "gauge"], Callable[[], float]], ...] = (
        ("pylon_documents_loaded", "Documents in memory.", "gauge", lambda: len(cache)),
        ("pylon_documents_loaded_bytes", "What they take, about.", "gauge", lambda: cache.bytes),
        ("pylon_documents_evicted_total", "Documents that made room in memory.", "counter", lambda: cache.evicted),
        ("pylon_documents_made_total", "Rows that got a document.", "counter", lambda: done.made),
        ("pylon_documents_read_total", "Documents read from the store.", "counter", lambda: done.loaded),
        ("pylon_documents_pushed_total", "Edits that clients pushed.", "counter", lambda: done.pushed),
        ("pylon_documents_refused_total", "Pushed edits that were refused.", "counter", lambda: done.refused),
        ("pylon_documents_compacted_total", "Documents stored anew as one.", "counter", lambda: done.compacted),
        ("pylon_documents_trimmed_total", "Documents that lost their history.", "counter", lambda: done.trimmed),
        ("pylon_document_subscriptions", "Documents that sockets watch.", "gauge", lambda: watchers.number),
        (
            "pylon_document_subscriptions_refused_total",
            "Subscriptions beyond what one socket may have.",
            "counter",
            lambda: watchers.refused,
        ),
        ("pylon_documents_sent_total", "Whole documents sent to sockets.", "counter", lambda: sockets.sent),
    )
    for name, text, kind, read in figures:
        registry.asked(name, text, kind, read)
