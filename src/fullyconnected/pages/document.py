"""The frame of a page: its head, the styles that all pages share, and a policy by which it loads nothing."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files

from fullyconnected.core.version import __version__
from fullyconnected.core.wording import printable

__all__ = ["page"]


def page(title: str, body: str, *, style: str = "", script: str = "", lang: str = "en") -> str:
    """Return a page as HTML in ASCII, so that it is right in a file of any encoding.

    Parameters
    ----------
    title : str
        The title, which is text, and escaped.
    body : str
        HTML.
    style : str, optional
        CSS beside that of all pages. Attributes of style in the body have no effect.
    script : str, optional
        JavaScript in ASCII, the only one that the page runs.
    lang : str
        The language of the body, by its code.
    """
    style = files(__package__).joinpath("page.css").read_text("utf-8") + style
    may_run = f"; script-src {_hash(script)}" if script else ""
    policy = (
        f"default-src 'none'; style-src {_hash(style)}{may_run}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    # the icon is empty: else a browser asks the server of the page for one, which the policy forbids
    html = (
        f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="fullyconnected {escape(__version__)}">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(printable(title))}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}\n" + (f"<script>{script}</script>\n" if script else "") + "</body>\n</html>\n"
    )
    return html.encode("ascii", "xmlcharrefreplace").decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
