"""The page between a link in a mail and being signed in: one button, no script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import urlsplit

import falcon.asgi

from pylon.auth.methods.magic_link import PATH, OpenLink

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:22rem;padding:2rem;text-align:center}"
    "button{font:inherit;font-weight:600;padding:.75rem 1.5rem;border:0;border-radius:.5rem;background:#18181b;"
    "color:#fff;cursor:pointer}"
    "@media (prefers-color-scheme:dark){button{background:#fafafa;color:#18181b}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def confirm_page(resp: falcon.asgi.Response, app: str, link: OpenLink, token: str) -> None:
    """Answer with the page. It names the account, so that nobody signs in to a stranger's by a link of the stranger."""
    parts = urlsplit(link.leads_to)
    # Browsers hold a form to this also where its answer leads on.
    goal = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    resp.set_header(
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'{goal}; base-uri 'none'; "
        "frame-ancestors 'none'",
    )
    resp.set_header("Referrer-Policy", "same-origin")  # the form's post names this server, and nobody else learns more
    resp.content_type = "text/html; charset=utf-8"
    resp.text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>Sign in to {escape(app)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(app)}</h1><p>Sign in as <strong>{escape(link.recipient)}</strong>?</p>"
        f'<form method="post" action="{PATH}"><input type="hidden" name="token" value="{escape(token)}">'
        "<button>Sign in</button></form></main></body></html>"
    )
