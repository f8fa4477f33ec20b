"""Transforms made from plain values, as YAML holds them, and described by such."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms.transform import Transform


def built(described: Any) -> Transform:
    """A transform from ``class_path``, which may be a class's bare name where it is one of this package, and arguments.

    Nothing but a subclass of Transform is ever called.

    Args:
        described: A mapping of ``class_path`` and, if need be, ``init_args``, whose values may be such mappings again.

    Raises:
        UserError: If the class or an argument is unknown, or a value wrong.
    """
    if not isinstance(described, Mapping) or not isinstance(described.get("class_path"), str):
        raise UserError(f"{described!r} says no transform; write class_path: CLAHE, and its arguments under init_args")
    if others := described.keys() - {"class_path", "init_args"}:
        raise UserError(f"key {min(map(str, others))} is unknown; write arguments of the class under init_args")
    kind, arguments = _kind(described["class_path"]), described.get("init_args") or {}
    if not isinstance(arguments, Mapping):
        raise UserError(f"init_args of {kind.__name__} is {arguments!r}; write `key: value` lines there")
    hints = {key: hint for key, hint in get_type_hints(kind.__init__).items() if key != "return"}
    if strangers := [str(key) for key in arguments if key not in hints]:
        known = ", ".join(hints) if hints else "none"
        raise UserError(f"{kind.__name__} has no argument {strangers[0]}; it has {known}")
    return kind(**{key: _value(f"{kind.__name__}.{key}", value, hints[key]) for key, value in arguments.items()})


def described(transform: Transform) -> dict[str, Any]:
    """The inverse of ``built``: each argument of the constructor, from the attribute of the same name."""
    kind = type(transform)
    public = getattr(importlib.import_module(str(__package__)), kind.__name__, None) is kind
    path = f"{__package__ if public else kind.__module__}.{kind.__qualname__}"
    arguments = {key: _plain(getattr(transform, key)) for key in inspect.signature(kind).parameters}
    return {"class_path": path, "init_args": arguments} if arguments else {"class_path": path}


def _kind(path: str) -> type[Transform]:
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module or str(__package__)), name, None)
    except (ImportError, TypeError, ValueError):  # the last two where the path is no name at all
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, Transform)) or inspect.isabstract(kind):
        raise UserError(f"class_path {path} is no transform; use one such as lightning_mtgan.transforms.CLAHE")
    return kind


def _value(key: str, value: Any, hint: Any) -> Any:
    if isinstance(value, list):
        value = [built(one) if isinstance(one, Mapping) else one for one in value]
    elif isinstance(value, Mapping):
        value = built(value)
    if not _fits(value, hint):
        words = {float: "a number", int: "a whole number"}
        right = words.get(hint, "a list of transforms, each with its class_path" if "list" in str(hint) else hint)
        raise UserError(f"{key} is {value!r}; give {right}")
    return value


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(one, get_args(hint)[0]) for one in value)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if hint in (float, int):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return described(value) if isinstance(value, Transform) else value
