"""RFC 6455 frames: encoding what the server sends, and parsing what clients send, at any split of the byte stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

PING_FRAME = bytes((0x80 | PING, 0))


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One unmasked, unfragmented frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to fit."""
    return frame(code.to_bytes(2, "big") + reason.encode()[:123], CLOSE)


@dataclass(frozen=True, slots=True)
class Message:
    """A complete message or control frame. For CLOSE, `code` is the peer's code (1005 without one)."""

    opcode: int
    payload: bytes
    code: int = 0


class FrameError(Exception):
    """The stream breaks the protocol; `code` is the close code to answer with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Parser:
    """Collects bytes and yields messages. After a FrameError it is of no more use."""

    __slots__ = ("_buffer", "_limit", "_opcode", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        self._buffer = b""
        self._limit = limit
        self._opcode = 0
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Messages that are complete with these bytes. Raises FrameError."""
        self._buffer = self._buffer + data if self._buffer else data
        while (parsed := self._frame()) is not None:
            final, opcode, payload = parsed
            if opcode >= CLOSE:
                yield _control(opcode, payload)
            elif (message := self._assemble(final, opcode, payload)) is not None:
                yield message

    def _frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, size = first & 0x0F, second & 0x7F
        if first & 0x70:
            raise FrameError(1002, "reserved bits are set")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise FrameError(1002, "unknown opcode")
        if not second & 0x80:
            raise FrameError(1002, "client frames must be masked")
        if opcode >= CLOSE and (size > 125 or not first & 0x80):
            raise FrameError(1002, "control frame too long or fragmented")
        start = 2
        if size == 126:
            start = 4
            if len(buffer) < 4:
                return None
            size = int.from_bytes(buffer[2:4], "big")
        elif size == 127:
            start = 10
            if len(buffer) < 10:
                return None
            size = int.from_bytes(buffer[2:10], "big")
        if size > self._limit or self._size + size > self._limit:
            raise FrameError(1009, "message too large")
        end = start + 4 + size
        if len(buffer) < end:
            return None
        payload = _unmask(buffer[start + 4 : end], buffer[start : start + 4])
        self._buffer = buffer[end:]
        return bool(first & 0x80), opcode, payload

    def _assemble(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        if opcode == CONTINUATION:
            if not self._opcode:
                raise FrameError(1002, "continuation without a beginning")
            opcode = self._opcode
        elif self._opcode:
            raise FrameError(1002, "a new message inside another")
        self._parts.append(payload)
        self._size += len(payload)
        if not final:
            self._opcode = opcode
            return None
        whole = payload if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._size, self._opcode = [], 0, 0
        if opcode == TEXT:
            try:
                whole.decode()
            except UnicodeDecodeError:
                raise FrameError(1007, "text is not UTF-8") from None
        return Message(opcode, whole)


def _unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    if not size:
        return b""
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def _control(opcode: int, payload: bytes) -> Message:
    if opcode != CLOSE:
        return Message(opcode, payload)
    if not payload:
        return Message(CLOSE, b"", 1005)
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise FrameError(1002, "invalid close code")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError(1007, "close reason is not UTF-8") from None
    return Message(CLOSE, payload[2:], code)
