"""The post-mortem: the same bytes for the same records, and never anything but text of what people typed."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from pylon.ops.incident.page import html
from pylon.ops.incident.record import Incident, Kind
from pylon.ops.incident.report import inline, markdown, plain, post_mortem, prose
from tests.incident_kit.story import AUDIT, EVENTS, GOLDEN, INCIDENT, action, event, told

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title></svg></style><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "[click](javascript:alert(1))",
    "![x](http://evil.example/pixel.png)",
    "<http://evil.example>",
    "[a]: http://evil.example\n\n[a]",
    "| a | b |\n| --- | --- |\n| c | d |",
    "# heading\n\n- list\n\n1. numbered\n\n> quote\n\n---\n\n```\ncode\n```",
    "&lt;script&gt; &#60;script&#62;",
    "*bold* _it_ `code` ~~gone~~ \\<b>",
    "text\n===",
    "\u202egnp.exe \x00\x1b[31mred",
    "{{7*7}} ${x} <!-- gone -->",
)


class Tags(HTMLParser):
    """The elements and attributes of a page, and the text outside of its style."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_markdown_is_the_golden_one() -> None:
    assert markdown(told()) == (GOLDEN / "report.md").read_text("utf-8")


def test_the_page_is_the_golden_one() -> None:
    assert html(told()) == (GOLDEN / "report.html").read_text("utf-8")


def test_the_order_in_which_records_arrive_does_not_matter() -> None:
    backwards = post_mortem(INCIDENT, EVENTS, tuple(reversed(AUDIT)))
    assert html(backwards) == html(told())


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_page_holds_the_same_elements_whatever_was_typed(attack: str) -> None:
    harmless = parsed(_page("harmless"))
    hostile = parsed(_page(attack))
    assert hostile.tags == harmless.tags
    assert hostile.attributes == harmless.attributes
    assert "script" not in hostile.tags
    assert "img" not in hostile.tags
    assert "a" not in hostile.tags


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_typed_is_read_as_it_was_typed(attack: str) -> None:
    assert plain(attack) in parsed(_page(attack)).text


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    page = html(told())
    assert "default-src &#x27;none&#x27;" in page
    for loading in ("http://", "https://", "url(", "@import", "<link", "<script", "javascript:"):
        assert loading not in page.replace("http://www.w3.org/2000/svg", "")


def test_paragraphs_of_a_summary_stay_paragraphs() -> None:
    assert prose("one\ntwo\n\n- three") == "one two\n\n\\- three"


def test_a_note_stays_on_its_line_of_the_table() -> None:
    lines = markdown(post_mortem(INCIDENT, (event(1, "a\nb | c"),), ())).splitlines()
    row = next(line for line in lines if "observation" in line)
    assert row.endswith("**observation**: a b \\| c |")


def test_signs_that_cannot_be_seen_are_shown_as_one() -> None:
    assert inline("a\u202eb\x1bc") == "a\ufffdb\ufffdc"


def test_an_open_incident_has_a_report_as_well() -> None:
    incident = Incident(id="x-open", title="t", started_at=1_000_000.0)
    text = markdown(post_mortem(incident, (), ()))
    assert "still open" in text
    assert "| Recovered | not yet |" in text


def _page(text: str) -> str:
    incident = msgspec.structs.replace(INCIDENT, title=text, summary=text, started_by=text)
    notes = [event(1 + n, text, kind, owner=text, by=text) for n, kind in enumerate(Kind)]
    audit = (action(3, "switch.on", target=f"user:{text}", reason=text), action(4, "made.up", target=text, detail=text))
    return html(post_mortem(incident, notes, audit))


def test_the_example_of_the_guide_is_the_golden_report() -> None:
    guide = Path(__file__).parents[2] / "docs" / "ops" / "POSTMORTEM.md"
    assert (GOLDEN / "report.md").read_text("utf-8") in guide.read_text("utf-8")
