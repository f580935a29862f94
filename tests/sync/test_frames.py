"""RFC 6455 at any split of the stream: the same messages, or a close code, never an exception of another kind."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.sync.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameError, Message, Parser, close_frame, frame


def masked(payload: bytes, opcode: int = TEXT, *, final: bool = True, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    size = len(payload)
    head = bytes(((0x80 if final else 0) | opcode,))
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def parsed(stream: bytes, cuts: list[int], limit: int = 2**20) -> list[Message]:
    parser = Parser(limit)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [m for a, b in itertools.pairwise(edges) for m in parser.feed(stream[a:b])]


messages = st.lists(
    st.tuples(st.sampled_from([TEXT, BINARY]), st.text(max_size=300).map(str.encode), st.integers(0, 3)), max_size=6
)


@given(sent=messages, cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_and_any_fragmentation_parse_the_same(sent: list[tuple[int, bytes, int]], cuts: list[int]) -> None:
    stream = b""
    for opcode, payload, pieces in sent:
        step = max(1, len(payload) // (pieces + 1))
        parts = [payload[i : i + step] for i in range(0, len(payload), step)] or [b""]
        for i, part in enumerate(parts):
            stream += masked(part, opcode if i == 0 else 0, final=i == len(parts) - 1)
            stream += masked(b"p", PING)
    found = [(m.opcode, m.payload) for m in parsed(stream, cuts) if m.opcode != PING]
    assert found == [(opcode, payload) for opcode, payload, _ in sent]


@given(stream=st.binary(max_size=400))
def test_noise_is_messages_or_a_close_code(stream: bytes) -> None:
    code = 1002
    try:
        parsed(stream, [3, 7, 50])
    except FrameError as error:
        code = error.code
    assert code in (1002, 1007, 1009)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 200_000])
def test_sizes_round_trip(size: int) -> None:
    payload = os.urandom(size)
    [message] = parsed(masked(payload, BINARY), [])
    assert message.payload == payload
    assert frame(payload, BINARY).endswith(payload)


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"\x81\x01a", 1002),
        (masked(b"a")[:1].replace(b"\x81", b"\xc1") + masked(b"a")[1:], 1002),
        (masked(b"a", 3), 1002),
        (masked(b"a", 0), 1002),
        (masked(b"a", TEXT, final=False) + masked(b"b", TEXT), 1002),
        (masked(b"x" * 126, PING), 1002),
        (masked(b"", PING, final=False), 1002),
        (masked(b"\xff", TEXT), 1007),
        (masked(b"\x03", CLOSE), 1002),
        (masked((999).to_bytes(2, "big"), CLOSE), 1002),
        (masked(b"x" * 2000), 1009),
        (masked(b"x" * 600, TEXT, final=False) + masked(b"x" * 600, 0), 1009),
    ],
)
def test_a_breach_has_its_close_code(stream: bytes, code: int) -> None:
    with pytest.raises(FrameError) as broken:
        parsed(stream, [], limit=1000)
    assert broken.value.code == code


def test_control_frames_are_told_apart() -> None:
    assert parsed(masked(b"x", PONG), []) == [Message(PONG, b"x")]
    assert parsed(masked(b"", CLOSE), []) == [Message(CLOSE, b"", 1005)]
    assert parsed(masked(b"\x03\xe8bye", CLOSE), []) == [Message(CLOSE, b"bye", 1000)]
    assert close_frame(1001, "x" * 200)[1] == 125
