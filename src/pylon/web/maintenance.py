"""What people see in a browser while the server is in maintenance: a page without scripts that asks again by itself."""

from __future__ import annotations

from html import escape

from pylon.model.errors import PylonError

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{seconds}">
<title>Back soon</title>
<style>
  body {{ font: 17px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0;
         color-scheme: light dark }}
  main {{ max-width: 32rem; padding: 2rem; text-align: center }}
</style>
<main><h1>Back soon</h1><p>{message}</p><p>This page asks again every {seconds} seconds.</p></main>
</html>
"""


def maintenance_page(error: PylonError) -> str:
    """The page for a MAINTENANCE error."""
    seconds = int((error.headers or {}).get("Retry-After", "30"))
    return _PAGE.format(seconds=seconds, message=escape(error.message))
