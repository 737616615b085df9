"""The languages of a worked example: each is a table from the English template of a message to its own.

English stands in the code, where a sentence is made; all other text stands in one module for each language.
"""

from collections.abc import Mapping
from typing import NamedTuple

from fullyconnected.core.messages import Message
from fullyconnected.errors import nearest
from fullyconnected.explanation.chinese import CHINESE

__all__ = ["LANGUAGES", "Language", "language", "say", "sentence"]


class Language(NamedTuple):
    """A language: its own name, its templates, what stands between two sentences, and at the end of one."""

    name: str
    templates: Mapping[str, str]
    between: str
    stop: str


LANGUAGES = {
    "en": Language("English", {}, " ", "."),
    "zh": Language("中文", CHINESE, "", "。"),
}


def language(lang: str) -> Language:
    """Return a language by its code, or raise UnknownNameError."""
    if lang not in LANGUAGES:
        raise nearest("language", lang, LANGUAGES)
    return LANGUAGES[lang]


def say(message: str, lang: str = "en") -> str:
    """Return a message in a language; text that is no message, or has no translation, stays as it is.

    >>> say(Message("{n} paths lead", n=3), "zh")
    '有 3 条路径'
    """
    if lang == "en" or not isinstance(message, Message):
        return str(message)
    chosen = language(lang)
    return message.said(lambda template: chosen.templates.get(template, template), chosen.between)


def sentence(message: str, lang: str = "en") -> str:
    """Return a message as a sentence: it begins with a capital letter, and ends with a full stop."""
    said = say(message, lang)
    return f"{said[:1].upper()}{said[1:]}{language(lang).stop}"
