"""Sealing and opening with age (pyrage): to a recipient's public key, or with a passphrase.

A passphrase seals one fresh key pair per backup, and that pair seals the files: age's passphrases cost seconds each,
and only whole buffers of them are offered, while files are sealed to a key in a stream. That one slow step holds the
interpreter, so it runs in a process of its own.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pylon.model.errors import PylonError
from pylon.ops.backup.manifest import Encryption

_PIECE = 65_536
_CHILD = """
import base64, sys, time, pyrage
what, secret, data = (base64.b64decode(line) for line in sys.stdin.buffer.read().split(b"\\n"))
word = secret.decode()
if what == b"seal":
    out = pyrage.passphrase.encrypt(data, word, armored=True)
else:
    for left in reversed(range(%d)):
        try:
            out = pyrage.passphrase.decrypt(data, word)
            break
        except pyrage.DecryptError as error:
            if "work" not in str(error):
                sys.exit(1)
            if not left:
                sys.exit(2)
            time.sleep(0.25)
sys.stdout.buffer.write(out)
"""
"""age measures the machine each time, and refuses what seems to take it 16 times as long as the one that sealed: a
moment without the processor is enough. It is asked again; what it refuses then still is not a wrong passphrase."""

_ESTIMATES = 20
_TOO_MUCH_WORK = 2
_CHILD_SECONDS = 120
_OPENERS = 64


class Reader(Protocol):
    """What bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Writer(Protocol):
    """What bytes go to."""

    def write(self, data: bytes, /) -> Any:
        """Take all of it."""

    def flush(self) -> Any:
        """Hand it on."""


class Measure:
    """Counts and sums what is read from, or written to, the stream inside."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._sum = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()

    def read(self, size: int = -1) -> bytes:
        data: bytes = bytes(self._stream.read(size if size >= 0 else _PIECE))
        self._sum.update(data)
        self.size += len(data)
        return data

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self._sum.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


class Seal:
    """Seals the files of one backup."""

    def __init__(self, encryption: Encryption, recipient: Any) -> None:
        self.encryption = encryption
        self._recipient = recipient

    def stream(self, source: Reader, target: Writer) -> None:
        """Seal all of `source` into `target`, in small pieces."""
        age = _age()

        try:
            age.encrypt_io(source, target, [self._recipient])
        except age.EncryptError as error:
            raise OSError(str(error)) from error

    def text(self, data: bytes) -> str:
        """A small text, sealed and armored."""
        age = _age()

        return bytes(age.encrypt(data, [self._recipient], armored=True)).decode()


class Opener:
    """Opens what one seal closed."""

    def __init__(self, identities: list[Any]) -> None:
        self._identities = identities

    def stream(self, source: Reader, target: Writer) -> None:
        """Open all of `source` into `target`, in small pieces. Raises BACKUP_KEY_REFUSED, or ValueError for what was
        tampered with or cut."""
        age = _age()

        try:
            age.decrypt_io(source, target, self._identities)
        except age.DecryptError as error:
            if "keys" in str(error):
                raise _refused("The key does not open it.", "Give the one it was made for.") from error
            raise ValueError(str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise ValueError("it was altered or cut") from error

    def text(self, sealed: str) -> bytes:
        """Open a sealed text."""
        age = _age()

        try:
            return bytes(age.decrypt(sealed.encode(), self._identities))
        except age.DecryptError as error:
            raise _refused("The key does not open it.", "Give the one it was made for.") from error


class Keyring:
    """What an operator gives: a passphrase, a recipient to seal to, or identities that open. The seal is made once, and
    what it sealed is opened without the passphrase's seconds. Blocking: not for the event loop."""

    def __init__(
        self, passphrase: str | None = None, recipient: str | None = None, identities: Sequence[str] = ()
    ) -> None:
        self._passphrase = passphrase
        self._recipient = recipient
        self._identities = tuple(identities)
        self._lock = threading.Lock()
        self._made: Seal | None = None
        self._openers: dict[str, Opener] = {}

    def __repr__(self) -> str:
        return "Keyring(***)"

    def seal(self) -> Seal | None:
        """The seal of this process; None where nothing is given to seal with. Raises BACKUP_KEY_REFUSED."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def opener(self, encryption: Encryption) -> Opener:
        """What opens files sealed so. Raises BACKUP_KEY_REFUSED when there is no fitting secret, or it is wrong."""
        if encryption.method == "age-x25519":
            return self._of_identities()
        if self._passphrase is None or encryption.key is None:
            raise _refused("It is sealed with a passphrase.", "Give --passphrase-file or PYLON_BACKUP_PASSPHRASE.")
        with self._lock:
            opener = self._openers.get(encryption.key)
            if opener is None:
                opener = self._of_passphrase(self._passphrase, encryption.key)
                if len(self._openers) < _OPENERS:
                    self._openers[encryption.key] = opener
            return opener

    def _make(self) -> Seal | None:
        age = _age()
        if self._recipient is not None:
            try:
                recipient = age.x25519.Recipient.from_str(self._recipient.strip())
            except age.RecipientError as error:
                hint = "It begins with age1; `age-keygen` makes one."
                raise _refused("The recipient is not an age public key.", hint) from error
            return Seal(Encryption("age-x25519"), recipient)
        if self._passphrase is None:
            return None
        identity = age.x25519.Identity.generate()
        key = _with_passphrase(b"seal", self._passphrase, str(identity).encode()).decode()
        self._openers[key] = Opener([identity])
        return Seal(Encryption("age-passphrase", key), identity.to_public())

    def _of_passphrase(self, passphrase: str, key: str) -> Opener:
        try:
            opened = _with_passphrase(b"open", passphrase, key.encode())
        except subprocess.CalledProcessError as error:
            if error.returncode == _TOO_MUCH_WORK:
                hint = "Try again when it has less to do, or on a faster one."
                raise _refused("This machine is too slow or too busy to try the passphrase.", hint) from error
            raise _refused("The passphrase does not open it.", "Give the one it was made with.") from error
        return Opener([_age().x25519.Identity.from_str(opened.decode())])

    def _of_identities(self) -> Opener:
        age = _age()
        if not self._identities:
            raise _refused("It is sealed to an age recipient.", "Give the private key's file with --identity.")
        try:
            return Opener([age.x25519.Identity.from_str(text) for text in self._identities])
        except age.IdentityError as error:
            raise _refused("The identity is no age private key.", "It begins with AGE-SECRET-KEY-1.") from error


def read_keyring(
    passphrase_file: str | None, recipient: str | None, identity_file: str | None, passphrase: str | None = None
) -> Keyring:
    """The keys in the files that an operator names. Raises BACKUP_KEY_REFUSED for an empty or unreadable one."""
    if passphrase_file is not None:
        passphrase = _line(passphrase_file, "passphrase")
    identities: tuple[str, ...] = ()
    if identity_file is not None:
        lines = _line(identity_file, "identity").splitlines()
        identities = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    return Keyring(passphrase, recipient, identities)


def copy_stream(source: Reader, target: Writer) -> None:
    """All of `source`, in small pieces."""
    while piece := source.read(_PIECE):
        target.write(piece)


def _age() -> Any:
    import pyrage  # type: ignore[import-untyped]

    return pyrage


def _line(path: str, what: str) -> str:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except OSError as error:
        raise _refused(
            f"The {what} file can't be read: {error.strerror}.", "Check its path and permissions."
        ) from error
    text = text.rstrip("\r\n")
    if not text:
        raise _refused(f"The {what} file is empty.", f"Write the {what} into it.")
    return text


def _with_passphrase(what: bytes, passphrase: str, data: bytes) -> bytes:
    lines = b"\n".join(base64.b64encode(part) for part in (what, passphrase.encode(), data))
    done = subprocess.run(  # noqa: S603 - our own interpreter, a constant program
        [sys.executable, "-P", "-c", _CHILD % _ESTIMATES],
        input=lines,
        capture_output=True,
        timeout=_CHILD_SECONDS,
        check=True,
    )
    return done.stdout


def _refused(message: str, hint: str) -> PylonError:
    return PylonError("BACKUP_KEY_REFUSED", message, hint=hint)
