"""The key ring: what one purpose sealed opens for that purpose and place only, and keys can be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.engine.keyring import FILE_NAME, KeyRing, load_keyring
from pylon.model.errors import PylonError

OLD, NEW = "old-key-of-at-least-32-characters", "new-key-of-at-least-32-characters"


def test_what_is_sealed_opens_for_the_same_purpose_and_place_only() -> None:
    ring = KeyRing([OLD])
    sealed = ring.seal("totp", b"secret", b"user1")
    assert ring.open("totp", sealed, b"user1") == b"secret"
    assert b"secret" not in sealed
    assert ring.seal("totp", b"secret", b"user1") != sealed
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for purpose, blob, context in (
        ("oauth", sealed, b"user1"),
        ("totp", sealed, b"user2"),
        ("totp", changed, b"user1"),
    ):
        with pytest.raises(PylonError) as refused:
            ring.open(purpose, blob, context)
        assert refused.value.code == "SEALED_UNREADABLE"
    for blob in (b"", b"\x01", b"junk" * 20):
        with pytest.raises(PylonError):
            ring.open("totp", blob)


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = KeyRing([OLD]).seal("totp", b"secret")
    ring = KeyRing([NEW, OLD])
    assert ring.open("totp", sealed) == b"secret"
    assert ring.key_id(sealed) != ring.ids[0]
    assert ring.key_id(ring.seal("totp", b"secret")) == ring.ids[0]
    with pytest.raises(PylonError):
        KeyRing([NEW]).open("totp", sealed)
    assert KeyRing([OLD]).mac("x", b"m") in ring.macs("x", b"m")


def test_the_key_file_is_made_once_and_never_replaced(tmp_path: Path) -> None:
    first = load_keyring((), tmp_path)
    assert load_keyring((), tmp_path).ids == first.ids
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert load_keyring([OLD], tmp_path).ids == KeyRing([OLD]).ids
    (tmp_path / FILE_NAME).write_text("short\n")
    with pytest.raises(PylonError) as refused:
        load_keyring((), tmp_path)
    assert refused.value.code == "CONFIG_INVALID"
