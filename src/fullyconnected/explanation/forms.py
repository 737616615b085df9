"""The forms of a worked example by name: each is a module of ``render/`` and a line here."""

from collections.abc import Callable
from typing import NamedTuple

from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.render.as_json import to_json
from fullyconnected.explanation.render.markdown import to_markdown
from fullyconnected.explanation.render.page.html import to_html
from fullyconnected.explanation.render.plaintext import to_text
from fullyconnected.explanation.render.script import to_python

__all__ = ["FORMS", "Form"]


class Form(NamedTuple):
    """A form: what it is, its file suffix, and the function that renders a record, a focus or None, in a language."""

    what: str
    suffix: str
    render: Callable[[Trace, Focus | None, str], str]


FORMS: dict[str, Form] = {
    "html": Form("a page in one file", ".html", to_html),
    "markdown": Form("Markdown with LaTeX", ".md", to_markdown),
    "json": Form("every number and formula as JSON", ".json", to_json),
    "python": Form("a script that computes every number again with NumPy alone, and compares", ".py", to_python),
    "text": Form("the text that is printed by default", ".txt", to_text),
}
