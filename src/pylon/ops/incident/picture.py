"""The timeline as a small SVG: an axis from the first moment to the last, one dot per moment, bands for the phases."""

from __future__ import annotations

from html import escape

from pylon.ops.incident.moments import span, utc
from pylon.ops.incident.report import PostMortem, plain
from pylon.ops.incident.timeline import Tone

_WIDTH, _HEIGHT, _MARGIN, _AXIS = 760, 132, 24, 72
_COLOURS = {
    Tone.MARK: "#1f2933",
    Tone.NOTE: "#8795a1",
    Tone.TROUBLE: "#c0392b",
    Tone.REMEDY: "#1e8449",
    Tone.CHANGE: "#2874a6",
}
_NAMES = {
    Tone.MARK: "start, close",
    Tone.NOTE: "note",
    Tone.TROUBLE: "trouble",
    Tone.REMEDY: "response",
    Tone.CHANGE: "server",
}
_DOTS = 400
"""Beyond it moments of one kind that fall on the same place are drawn once; the table has them all."""


def svg(told: PostMortem) -> str:
    """The picture, as an element to be put into a page."""
    moments, found = told.moments, told.phases
    first = min([found.began, *(moment.at for moment in moments)])
    last = max([found.detected, found.recovered, found.closed, *(moment.at for moment in moments)])
    scale = (_WIDTH - 2 * _MARGIN) / max(last - first, 1.0)

    def x(at: float) -> str:
        return f"{_MARGIN + (at - first) * scale:.1f}"

    parts = [
        f'<svg class="timeline" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>Timeline from {utc(first)} to {utc(last)}</title>",
    ]
    end = found.recovered or last
    bands = (
        (found.began, found.detected, "#f5b7b1", "undetected"),
        (found.detected, found.responded or end, "#fad7a0", "detected"),
        (found.responded, end, "#d5f5e3", "responding"),
    )
    for begins, ends, colour, name in bands:
        if begins and ends > begins:
            wide = (ends - begins) * scale
            parts.append(
                f'<rect x="{x(begins)}" y="{_AXIS - 26}" width="{wide:.1f}" height="26" fill="{colour}">'
                f"<title>{name}: {span(ends - begins)}</title></rect>"
            )
            if wide > 7.0 * len(name):
                parts.append(f'<text x="{x(begins)}" y="{_AXIS - 32}" dx="2" class="small">{name}</text>')
    parts.append(
        f'<line x1="{_MARGIN}" y1="{_AXIS}" x2="{_WIDTH - _MARGIN}" y2="{_AXIS}" stroke="#1f2933" stroke-width="1.5"/>'
    )
    drawn: set[tuple[str, Tone]] = set()
    for moment in moments:
        place = (x(moment.at), moment.tone)
        if len(moments) > _DOTS and place in drawn:
            continue
        drawn.add(place)
        title = escape(plain(f"{utc(moment.at)} {moment.label} {moment.text}")[:200])
        parts.append(
            f'<circle cx="{place[0]}" cy="{_AXIS}" r="{6 if moment.tone is Tone.MARK else 4.5}" '
            f'fill="{_COLOURS[moment.tone]}" stroke="#fff"><title>{title}</title></circle>'
        )
    parts.append(f'<text x="{_MARGIN}" y="{_AXIS + 22}" class="small">{utc(first)}</text>')
    parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{_AXIS + 22}" class="small" text-anchor="end">{utc(last)}</text>')
    for position, (tone, name) in enumerate(_NAMES.items()):
        left = _MARGIN + position * 120
        parts.append(f'<circle cx="{left + 5}" cy="{_HEIGHT - 12}" r="4.5" fill="{_COLOURS[tone]}"/>')
        parts.append(f'<text x="{left + 15}" y="{_HEIGHT - 8}" class="small">{name}</text>')
    parts.append("</svg>")
    return "".join(parts)
