"""What nobody should send: text, JSON, bodies, headers and targets as hypothesis draws them, down to the byte."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import quote, urlencode

import msgspec
import zstandard
from hypothesis import strategies as st

from pylon.web.described import AnyOf, Media, Ref

ROW = "0" * 40
USER = "a" * 40
WORDS = [
    "", " ", ".", "..", "../../etc/passwd", "/", "//", "\\", "\0", "a\0b", "\x7f", "\r\nX-Evil: 1", "\ud800", "\ufeff",
    "é", "\U0001f600", "İ", "ﬃ", "\u202e", "'", '"', "';--", '" OR 1=1', "%", "%%", "_", "*", "$", "{}", "[]", "[", "{",
    "null", "true", "NaN", "Infinity", "-0", "0", "-1", "1e999", "9" * 25, "1.5", "0x10", "\u0661", "\u00b9", "+1",
    "__proto__", "id", "Note", "User", "title", "owner", "hidden", "code", "notes", "write", ROW, "ada@example.com",
    "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "127.0.0.1", "::1", "10.0.0.0/8",
    "http://127.0.0.1/", "javascript:alert(1)", "a" * 300, "é" * 200, "day", "server", "all", "open", "latest", USER,
]  # fmt: skip
words = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40, -(10**400)])
    | st.sampled_from([0.0, -0.0, 0.5, 1e308, 5e-324, float("nan"), float("inf"), 1e15 + 0.5])
    | words
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)

_DEEP = [b"[" * n + b"]" * n for n in (150, 2_000, 100_000)] + [b'{"a":' * 5_000, b'[{"":' * 40_000]
_ZEROS = b'{"title":"' + b"0" * 2**22 + b'"}'
_BOMBS = [gzip.compress(_ZEROS), zstandard.compress(_ZEROS), zlib.compress(_ZEROS)]
_RAW = [
    b"", b" ", b"{", b"}", b"null", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"{}{}", b"\0", b"\x80", b"{}\n{}", b"\n",
]  # fmt: skip
raw_bodies = st.sampled_from([*_RAW, *_DEEP, *_BOMBS]) | st.binary(max_size=40)


def encoded(value: Any) -> bytes:
    """A value as JSON, with what JSON doesn't know too: NaN, and halves of surrogate pairs."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def near(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that are nearly what a described shape says: a field may be missing, or be anything."""
    if isinstance(shape, st.SearchStrategy):
        return shape
    if shape is None or isinstance(shape, Media | Ref) or depth > 4:
        return values
    if isinstance(shape, AnyOf):
        return st.one_of([near(one, depth) for one in shape.shapes])
    if isinstance(shape, Mapping):
        return _object({name.rstrip("?"): near(inner, depth + 1) for name, inner in shape.items()})
    if isinstance(shape, tuple):
        return st.one_of([near(one, depth) for one in shape])
    if isinstance(shape, list):
        return st.lists(near(shape[0], depth + 1), max_size=3)
    return _typed(shape, depth)


def _typed(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is Annotated:
        return _typed(inner[0], depth)
    if origin in (Union, UnionType):
        return st.one_of([_typed(one, depth) for one in inner])
    if origin in (list, tuple, set, frozenset):
        return st.lists(_typed(inner[0], depth + 1), max_size=3) if inner else values
    if origin is dict:
        return st.dictionaries(words, _typed(inner[1], depth + 1), max_size=3)
    if not isinstance(hint, type):
        return values
    if issubclass(hint, msgspec.Struct):
        return _object({field.encode_name: near(field.type, depth + 1) for field in msgspec.structs.fields(hint)})
    if issubclass(hint, Enum):
        return st.sampled_from([one.value for one in hint])
    return _PLAIN.get(hint, values)


_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12) | words,
    int: st.integers(-2, 100) | st.integers(),
    float: st.floats(),
    bool: st.booleans(),
    type(None): st.none(),
}


@st.composite
def _object(draw: st.DrawFn, fields: Mapping[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    most = draw(st.sampled_from([2, 9]))  # else nearly every object of many fields would be wrong somewhere
    for name, value in fields.items():
        match draw(st.integers(0, 9)) if most == 9 else draw(st.sampled_from([0, 2, 2])):
            case 0:
                continue
            case 1:
                found[name] = draw(values)
            case _:
                found[name] = draw(value)
    if most == 9 and draw(st.integers(0, 5)) == 0:
        found[draw(words)] = draw(scalars)
    return found


@st.composite
def bodies(draw: st.DrawFn, shape: st.SearchStrategy[Any]) -> bytes:
    """A body for a route that takes this shape: right, almost right, or not at all."""
    kind = draw(st.integers(0, 14))
    if kind == 0:
        return draw(raw_bodies)
    value = draw(values if kind == 1 else shape)
    body = encoded(value) if draw(st.booleans()) else json.dumps(value).encode()
    if kind == 2 and body.startswith(b'{"'):  # the same name twice
        return body[:-1] + b"," + body[1:]
    if kind == 3:
        at = draw(st.integers(0, len(body)))
        return body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 2)) :]
    if kind == 4:
        text = body.decode("utf-8", "replace")
        return draw(st.sampled_from([body + b"\n" + body, text.encode("utf-16"), body + b",", b"[" + body + b"]"]))
    if kind == 5 and isinstance(value, dict):
        return urlencode(
            {name: str(inner).encode("utf-8", "replace") for name, inner in value.items()}, errors="replace"
        ).encode()
    return body


_HEADERS = {
    b"content-type": [
        b"application/json", b"text/plain", b"text/csv", b"application/x-ndjson", b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x", b"application/json; charset=utf-16", b";;;", b"a" * 2000, b"\xff/\xfe", b"",
    ],
    b"content-encoding": [b"gzip", b"zstd", b"br", b"deflate, gzip", b"\xff", b"identity"],
    b"content-length": [b"-1", b"1e3", b"9" * 30, b"+5", b"\xb2", b"abc", b"0"],
    b"if-match": [b"*", b'"x"', b'W/"x"', b'"', b",,,", b"\xff\xff", b'"a", ' * 400, b"0"],
    b"if-none-match": [b"*", b'"x"', b"\xc3\xa9", b'W/', b""],
    b"range": [b"bytes=0-", b"bytes=5-1", b"bytes=-0", b"bytes=" + b"0-1," * 300, b"rows=1", b"x",
    b"bytes=99999999999999999999-"],
    b"accept": [b"text/html", b"text/event-stream", b"*/*;q=9", b"a/b;q=x", b";,;,", b"\xff",
    b"application/json;" * 200],
    b"accept-encoding": [b"gzip;q=0", b"zstd", b"gzip;q=abc", b"*;q=-1", b"\xff", b"gzip," * 500],
    b"accept-language": [b"de", b"xx-" * 100, b"\xff", b";q=1"],
    b"idempotency-key": [b"k", b"", b" ", b"a" * 500, b"\xff\xfe", b"\x01", b"k\tk"],
    b"x-request-id": [b"ok-1", b"a" * 500, b"\xff", b"a b", b"%0d%0a"],
    b"x-forwarded-for": [b"1.2.3.4", b"::1, garbage", b"," * 300, b"\xff", b"999.1.1.1"],
    b"x-forwarded-proto": [b"https", b"\xff"],
    b"origin": [b"null", b"http://evil.example", b"http://", b"http://[::1", b"\xff", b"http://test:99999999",
    b"http://test:x"],
    b"referer": [b"http://evil.example/x", b"http://[", b"\xff", b"http://test:x/"],
    b"sec-fetch-site": [b"cross-site", b"same-origin", b"\xff"],
    b"cookie": [b"pylon_session=x", b"contract_session=\xff", b"=;=;", b";" * 500, b"a=b; a=c",
    b"pylon_studio=x; x", b'x="\\400"'],
    b"last-event-id": [b"1", b"-1", b"x", b"\xff"],
    b"x-pylon-client-id": [b"\xff", b"a" * 500],
    b"x-pylon-tenant": [b"\xff", b"t1"],
    b"x-http-method-override": [b"DELETE"],
    b"expect": [b"100-continue", b"x"],
    b"te": [b"trailers"],
    b"traceparent": [b"00-" + b"0" * 32 + b"-0-01", b"\xff"],
    b"x-long": [b"a" * 20_000],
}  # fmt: skip
_CREDENTIALS = [
    b"Bearer", b"Bearer ", b"Bearer  x", b"bearer x", b"Basic Og==", b"Basic \xff", b"Bearer \xff\xfe",
    b"Bearer " + b"a" * 9000,
    b"Bearer pylon_", b"Bearer pk_live.x.y", b"Bearer a.b.c", b"Bearer eyJhbGciOiJub25lIn0.e30.",
    b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.AA",
    b"Bearer " + b"." * 400, b"\xff", b"Bearer test-identity.99", b"Bearer null", b"Bearer \0", b"Digest x=y",
]  # fmt: skip


@st.composite
def headers(draw: st.DrawFn, token: str | None) -> list[tuple[bytes, bytes]]:
    """Headers, names in lower case; a credential that is good, missing or odd."""
    sent = [(b"host", draw(st.sampled_from([b"test", b"test", b"test", b"", b"\xff", b"evil.example:0", b"[::1]:80"])))]
    for name in draw(st.lists(st.sampled_from(list(_HEADERS)), max_size=4)):
        sent.append((name, draw(st.sampled_from(_HEADERS[name]) | st.binary(max_size=8).map(_field_value))))
    if draw(st.integers(0, 7)) == 0:
        sent.append((b"authorization", draw(st.sampled_from(_CREDENTIALS))))
    elif token is not None:
        sent.append((b"authorization", b"Bearer " + token.encode()))
    return sent


def _field_value(value: bytes) -> bytes:
    """What a server's parser lets through: no control characters but the tab."""
    return bytes(byte for byte in value if byte in (9, *range(32, 127), *range(128, 256))).strip(b" \t")


@st.composite
def targets(draw: st.DrawFn, template: str, known: Mapping[str, Iterable[str]], parameters: tuple[str, ...]) -> bytes:
    """A request's target for a route: its parameters filled in with what exists or with anything, a query behind it."""
    parts = []
    for part in template.split("/"):
        if part.startswith("{"):
            name = part.strip("{}").partition(":")[0]
            good = known.get(name)
            part = quote(
                draw(st.sampled_from(list(good)) if good and draw(st.integers(0, 3)) else words),
                safe="",
                errors="surrogatepass",
            )
        parts.append(part)
    path = "/".join(parts)
    match draw(st.integers(0, 19)):
        case 0:
            path += draw(
                st.sampled_from(["/", "//", "/..", "/%2e%2e/x", "%00", "%", "%zz", "%ff", "/" + "x" * 5000, ";a=b"])
            )
        case 1:
            path = "/" + path
        case 2:
            path = path.replace("/", "%2f")
    pairs = draw(st.lists(st.tuples(st.sampled_from(parameters) | words, words), max_size=3))
    query = "&".join(
        f"{quote(name, safe='[]', errors='surrogatepass')}={quote(value, safe='', errors='surrogatepass')}"
        for name, value in pairs
    )
    query += draw(
        st.sampled_from(
            [
                "",
                "",
                "",
                "",
                "&",
                "&&=&=",
                "&%",
                "&%ff=%fe",
                "&a=1" * 1500,
                "&x=" + "y" * 9000,
                "&limit=1&limit=2",
                "&filter[=1",
                "#f",
            ]
        )
    )
    return (path + ("?" + query.lstrip("&") if query or draw(st.integers(0, 9)) == 0 else "")).encode(
        "ascii", "replace"
    )
