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
    """Collects bytes and yields messages. After a FrameError it is of no more use.

    What it holds is bounded by `limit` (bytes of one message), however the peer cuts it up: bytes are joined as they
    come, so neither many reads, many frames in one read, nor many tiny fragments cost more than their size.
    """

    __slots__ = ("_buffer", "_limit", "_message", "_opcode")

    def __init__(self, limit: int) -> None:
        self._buffer: bytearray | None = None
        self._limit = limit
        self._opcode = 0
        self._message: bytearray | None = None

    def feed(self, data: bytes) -> Iterator[Message]:
        """Messages that are complete with these bytes. Raises FrameError."""
        buffer: bytes | bytearray = data
        if self._buffer is not None:
            self._buffer += data
            buffer = self._buffer
        at = 0
        while (parsed := self._frame(buffer, at)) is not None:
            final, opcode, payload, at = parsed
            if opcode >= CLOSE:
                yield _control(opcode, payload)
            elif (message := self._assemble(final, opcode, payload)) is not None:
                yield message
        if at == len(buffer):
            self._buffer = None
        elif self._buffer is None:
            self._buffer = bytearray(memoryview(data)[at:])
        elif at:
            del self._buffer[:at]

    def _frame(self, buffer: bytes | bytearray, at: int) -> tuple[bool, int, bytes, int] | None:
        """The frame that begins at `at`: whether it is final, its opcode, its payload, and where the next begins."""
        held = len(buffer) - at
        if held < 2:
            return None
        first, second = buffer[at], buffer[at + 1]
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
            if held < 4:
                return None
            size = int.from_bytes(buffer[at + 2 : at + 4], "big")
        elif size == 127:
            start = 10
            if held < 10:
                return None
            size = int.from_bytes(buffer[at + 2 : at + 10], "big")
        if opcode < CLOSE and size > self._limit - (len(self._message) if self._message is not None else 0):
            raise FrameError(1009, "message too large")
        begin = at + start + 4
        end = begin + size
        if len(buffer) < end:
            return None
        return bool(first & 0x80), opcode, _unmask(buffer, begin, end), end

    def _assemble(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        if opcode == CONTINUATION:
            if not self._opcode:
                raise FrameError(1002, "continuation without a beginning")
            opcode = self._opcode
        elif self._opcode:
            raise FrameError(1002, "a new message inside another")
        if self._message is not None:
            self._message += payload
        if not final:
            if self._message is None:
                self._message = bytearray(payload)
            self._opcode = opcode
            return None
        whole = payload if self._message is None else bytes(self._message)
        self._message, self._opcode = None, 0
        if opcode == TEXT:
            try:
                whole.decode()
            except UnicodeDecodeError:
                raise FrameError(1007, "text is not UTF-8") from None
        return Message(opcode, whole)


_PIECE = 65_536


def _unmask(buffer: bytes | bytearray, begin: int, end: int) -> bytes:
    """The payload at `begin`, whose mask stands in the four bytes before it, unmasked in pieces that fit the cache."""
    mask = bytes(buffer[begin - 4 : begin])
    size = end - begin
    if size <= _PIECE:
        return _xor(buffer[begin:end], mask * (size // 4 + 1))
    key = mask * (_PIECE // 4)
    return b"".join([_xor(buffer[i : min(i + _PIECE, end)], key) for i in range(begin, end, _PIECE)])


def _xor(payload: bytes | bytearray, key: bytes) -> bytes:
    size = len(payload)
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key[:size], "little")).to_bytes(size, "little")


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
