"""Sentences that keep their template, so that what shows them can say them in another language."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Message"]


class Message(str):
    """A sentence: its template in English, and the values in it; everywhere else it is its English text.

    Several can be joined with ``+``, with a space between them, and a value may be a message itself.

    >>> said = Message("{n} rows", n=4) + Message("of XOR.")
    >>> said, [part.template for part in said.parts]
    ('4 rows of XOR.', ['{n} rows', 'of XOR.'])
    """

    template: str
    values: Mapping[str, Any]
    parts: tuple["Message", ...]  # itself, if it is not joined of several

    __slots__ = ("parts", "template", "values")

    def __new__(cls, template: str, **values: Any) -> "Message":
        """Return the template with its values in place."""
        message = super().__new__(cls, template.format(**values))
        message.template, message.values, message.parts = template, values, (message,)
        return message

    def __add__(self, other: str) -> "Message":
        """Return both sentences, one after the other; other text stays as it is in every language."""
        if not other:
            return self
        return _joined((*self.parts, *(other.parts if isinstance(other, Message) else (_as_is(other),))))

    def __reduce__(self) -> Any:
        return (_joined, (self.parts,)) if len(self.parts) > 1 else (_made, (self.template, dict(self.values)))

    def said(self, translated: Callable[[str], str], between: str) -> str:
        """Return the text by the templates of another language, with what stands between sentences there."""
        found = []
        for part in self.parts:
            values = {
                name: value.said(translated, between) if isinstance(value, Message) else value
                for name, value in part.values.items()
            }
            found.append(translated(part.template).format(**values))
        return between.join(found)


def _as_is(text: str) -> Message:
    return Message("{text}", text=text)


def _made(template: str, values: Mapping[str, Any]) -> Message:
    return Message(template, **values)


def _joined(parts: tuple[Message, ...]) -> Message:
    message = str.__new__(Message, " ".join(parts))
    message.template, message.values, message.parts = "", {}, parts
    return message
