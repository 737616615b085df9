"""The forms that a worked example is shown in, by name: each is a file of ``render/`` and a line here."""

from collections.abc import Callable
from typing import NamedTuple

from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.render.as_json import to_json
from fullyconnected.explanation.render.markdown import to_markdown
from fullyconnected.explanation.render.page import to_html
from fullyconnected.explanation.render.plaintext import to_text
from fullyconnected.explanation.render.script import to_python

__all__ = ["FORMS", "Form"]


class Form(NamedTuple):
    """What a form is, in a few words; how a file of it ends; and what renders a record in it, with a focus or None."""

    what: str
    suffix: str
    render: Callable[[Trace, Focus | None], str]


FORMS: dict[str, Form] = {
    "html": Form("a page in one file", ".html", to_html),
    "markdown": Form("Markdown with LaTeX", ".md", to_markdown),
    "json": Form("every number and formula as JSON", ".json", to_json),
    "python": Form("a script that needs NumPy alone, computes every number again, and compares", ".py", to_python),
    "text": Form("the plain text that is printed else", ".txt", to_text),
}
