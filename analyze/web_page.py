"""The page that a web browser opens: it loads what this machine serves, and may load nothing else; pure."""

from __future__ import annotations

from html import escape
from pathlib import Path

DEFAULT_FONT_SIZE = 16
_FONT_SIZES = range(6, 65)
_PAGE = Path(__file__).with_suffix(".html")
SCRIPT = Path(__file__).with_suffix(".js")
"""What the page runs beside textual-serve's script; served under its name, for a policy that takes no other."""
ICON = Path(__file__).with_suffix(".svg")
"""The tab's sign, likewise; without one a browser asks for `/favicon.ico`, and complains of the 404."""


def page(host: str, font_size: str | None = None) -> str:
    """Write the page as HTML; `host` is the `HOST:PORT` it was asked for under, `font_size` is in pixels.

    textual-serve has a page of its own, which asks Google for a font and connects to the address that was bound,
    under whatever name the page was opened.
    """
    words = {"websocket": f"ws://{host}/ws", "font_size": str(_size(font_size))}
    written = _PAGE.read_text(encoding="utf-8")
    for name, value in words.items():
        written = written.replace(f"{{{name}}}", escape(value))
    return written


def headers(host: str) -> dict[str, str]:
    """Give the headers of every answer: what a page may load, and that it is shown in no other page.

    Styles may stand in the page, because `xterm.js` writes its own there; scripts may not.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self'",
        "img-src": "'self'",
        # Not every browser takes the socket for the page's own.
        "connect-src": f"'self' ws://{host}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _size(asked: str | None) -> int:
    is_number = asked is not None and asked.isascii() and asked.isdigit() and len(asked) < 4
    return int(asked) if asked and is_number and int(asked) in _FONT_SIZES else DEFAULT_FONT_SIZE
