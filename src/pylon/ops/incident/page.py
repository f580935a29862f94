"""The post-mortem as one HTML page: nothing is loaded from anywhere, nothing runs, and it prints well."""

from __future__ import annotations

from html import escape

from pylon.ops.incident.picture import svg
from pylon.ops.incident.report import PostMortem, body_markdown, head_markdown, plain

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid #d9e2ec; } td:first-child { white-space: nowrap; font-variant-numeric: tabular-nums; }
code { background: #f0f4f8; padding: 0 .2rem; } .timeline { width: 100%; height: auto; margin: .5rem 0; }
.timeline .small { font: 11px system-ui, sans-serif; fill: #52606d; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  tr, .timeline { break-inside: avoid; } }
""".strip()


def html(told: PostMortem) -> str:
    """The page. Raw HTML in the Markdown is escaped; so is every text in it."""
    from markdown_it import MarkdownIt  # heavy, and only a report needs it

    render = MarkdownIt("commonmark", {"html": False}).enable("table").render
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(CONTENT_SECURITY_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"<title>Post-mortem: {escape(plain(told.incident.title))}</title>\n"
        f"<style>\n{_STYLE}\n</style>\n</head>\n<body>\n"
        f"{render(head_markdown(told))}{svg(told)}\n{render(body_markdown(told))}</body>\n</html>\n"
    )
