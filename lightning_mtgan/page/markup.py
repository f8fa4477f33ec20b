"""Markup of pages and drawings, in which text is escaped unless it is markup itself."""

from __future__ import annotations

import html
import re
from functools import cache

_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff"
_FORBIDDEN, _NOT_PLAIN = re.compile(f"[{_CONTROL}]"), re.compile(f"[&<>\"'{_CONTROL}]")


class Markup(str):
    """Text that is markup already and is not escaped again."""


def tag(name: str, /, *content: str, **attributes: object) -> Markup:
    """An element.

    Args:
        name: Its name.
        content: Its children; text is escaped, markup is not.
        attributes: By name; a trailing underscore is dropped, others become hyphens. None leaves one out.
    """
    inside = "".join([f' {_key(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None])
    return Markup(f"<{name}{inside}>{join(*content)}</{name}>" if content else f"<{name}{inside}/>")


def join(*content: str) -> Markup:
    """Several pieces one after the other; text is escaped, markup is not."""
    return Markup("".join([piece if isinstance(piece, Markup) else escape(piece) for piece in content]))


def escape(text: str) -> Markup:
    """Text as a browser shows it; characters that no page may hold become replacement characters."""
    if not _NOT_PLAIN.search(text):  # most is plain, and a page has ten thousands of pieces
        return Markup(text)
    return Markup(html.escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)))


@cache
def _key(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: object) -> object:
    return value if isinstance(value, int | float) else escape(str(value))


def absent(text: str) -> Markup:
    """What stands where there is nothing to show."""
    return tag("p", text, class_="absent")


def grid(*charts: Markup) -> Markup:
    """Charts or tables side by side."""
    return tag("div", *charts, class_="grid")
